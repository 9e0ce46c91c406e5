// nginx with what Gatehouse ships for it, and Apache with mod_auth_openidc, each as Debian configures it, on one small
// site.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, GROUP_IDS } from '../dist/demo/people.js'
import { startProgram } from './programs.mjs'

export const APACHE_MODULE = '/usr/lib/apache2/modules/mod_auth_openidc.so'
const FILE = `<!doctype html><title>A page</title><p>${'A sentence of a small page. '.repeat(35)}\n`

/** The files that are served. */
export function addSite({ home }) {
  for (const part of ['pages', 'members']) {
    mkdirSync(join(home, 'site', part), { recursive: true })
    writeFileSync(join(home, 'site', part, 'index.html'), FILE)
  }
  return { root: join(home, 'site'), bytes: FILE.length }
}

/** What Debian's nginx.conf sets, with one worker, and the files Gatehouse ships. */
export async function startNginx(stage, { program, root, ports: { app, auth }, gatewayPort }) {
  const home = join(stage.home, 'nginx')
  cpSync('config/proxies/nginx', join(home, 'gatehouse'), { recursive: true })
  writeFileSync(
    join(home, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${home}/nginx.pid; error_log stderr warn;
events { worker_connections 768; }
http {
  sendfile on; tcp_nopush on; gzip on; include /etc/nginx/mime.types; access_log ${home}/access.log;
  client_body_temp_path ${home}/a; proxy_temp_path ${home}/b; fastcgi_temp_path ${home}/c; uwsgi_temp_path ${home}/d;
    scgi_temp_path ${home}/e;
  include gatehouse/gatehouse-http.conf;
  upstream gatehouse { server 127.0.0.1:${gatewayPort}; keepalive 16; }
  server {
    listen 127.0.0.1:${app};
    set $gatehouse_port ${app};
    include gatehouse/gatehouse-server.conf;
    location / { root ${root}; include gatehouse/gatehouse-location.conf; }
  }
  server { listen 127.0.0.1:${auth}; set $gatehouse_port ${auth}; include gatehouse/gatehouse-pages.conf; }
}`,
  )
  return await startProgram(stage, program, ['-p', home, '-c', join(home, 'nginx.conf'), '-e', 'stderr'], { port: app })
}

/**
 * Debian's own configuration with its modules and numbers of processes; the module's sessions where they are by
 * default, in shared memory.
 */
export async function startApache(stage, { program, root, port, entra, secret }) {
  const home = join(stage.home, 'apache')
  mkdirSync(home)
  writeFileSync(
    join(home, 'apache.conf'),
    `ServerRoot /etc/apache2
DefaultRuntimeDir ${home}
PidFile ${home}/apache.pid
ServerName 127.0.0.1
Timeout 300
KeepAlive On
MaxKeepAliveRequests 100
KeepAliveTimeout 5
HostnameLookups Off
ErrorLog ${home}/error.log
LogLevel warn
${process.getuid() === 0 ? 'User www-data\nGroup www-data' : ''}
IncludeOptional mods-enabled/*.load
IncludeOptional mods-enabled/*.conf
<IfModule !auth_openidc_module>
  LoadModule auth_openidc_module ${APACHE_MODULE}
</IfModule>
Listen 127.0.0.1:${port}
<Directory />
  Options FollowSymLinks
  AllowOverride None
  Require all denied
</Directory>
AccessFileName .htaccess
LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{Referer}i\\" \\"%{User-Agent}i\\"" combined
CustomLog ${home}/access.log combined
DocumentRoot ${root}
OIDCProviderMetadataURL ${entra.url}/${DEMO_TENANT_ID}/v2.0/.well-known/openid-configuration
OIDCClientID ${DEMO_CLIENT_ID}
OIDCClientSecret ${secret}
OIDCScope "openid profile email"
OIDCRedirectURI http://127.0.0.1:${port}/redirect_uri
OIDCCryptoPassphrase bench-passphrase-0123456789abcdef
<Directory ${root}>
  Options FollowSymLinks
  AllowOverride None
</Directory>
<Location />
  AuthType openid-connect
  Require valid-user
</Location>
<Location /members/>
  Require claim groups:${GROUP_IDS.circuitManagers}
</Location>
`,
  )
  return await startProgram(stage, program, ['-D', 'FOREGROUND', '-f', join(home, 'apache.conf')], {
    port,
    env: {
      APACHE_RUN_DIR: home,
      APACHE_LOCK_DIR: home,
      APACHE_LOG_DIR: home,
      APACHE_PID_FILE: join(home, 'apache.pid'),
      APACHE_RUN_USER: 'www-data',
      APACHE_RUN_GROUP: 'www-data',
    },
  })
}
