// Real proxies on the files that are shipped, for end-to-end tests: nginx, Caddy and HAProxy. nginx and Caddy in the
// version of the distribution or in the newest one (.ci/proxies.txt). Traefik and Envoy have files of their own beside
// this one.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { newestProxy, program, run, type Running } from './programs.js'

export interface Site {
  /** host:port, where the proxy listens for the application and for Gatehouse's pages. */
  readonly app: string
  readonly auth: string
  readonly gateway: string
  readonly upstream: string
}

/** `address`: where to listen; 127.0.0.1 where nothing is said. */
export interface Tls {
  readonly certificate: string
  readonly key: string
  readonly appHost: string
  readonly authHost: string
  readonly port: number
  readonly address?: string
}

export type Version = 'distribution' | 'newest'

export function folder(t: Test, name: string): string {
  const home = mkdtempSync(join(tmpdir(), `gatehouse-${name}-`))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  return home
}

/** @param site the text of a file of the http level @returns undefined where nginx is not installed */
export async function runNginx(
  t: Test,
  site: string,
  port: number,
  version: Version = 'distribution',
  host = '127.0.0.1',
): Promise<Running | undefined> {
  const nginx = version === 'newest' ? newestProxy(t, 'nginx') : program(t, 'nginx')
  if (nginx === undefined) return undefined
  const home = folder(t, 'nginx')
  cpSync('config/proxies/nginx', join(home, 'gatehouse'), { recursive: true })
  writeFileSync(join(home, 'site.conf'), site)
  writeFileSync(
    join(home, 'nginx.conf'),
    `${
      process.getuid?.() === 0 ? 'user root; ' : ''
    }daemon off; worker_processes 1; pid ${home}/nginx.pid; error_log stderr warn;
events { worker_connections 4096; } http { access_log off; client_body_temp_path ${home}/a; proxy_temp_path ${home}/b;
  fastcgi_temp_path ${home}/c; uwsgi_temp_path ${home}/d; scgi_temp_path ${home}/e; include ${home}/site.conf; }`,
  )
  return await run(t, nginx, ['-p', home, '-c', join(home, 'nginx.conf'), '-e', 'stderr'], { host, port })
}

export function filledIn(file: string, values: Readonly<Record<string, string>>): string {
  return readFileSync(file, 'utf8').replace(/\$\{([A-Z_]+)\}/g, (whole, name: string) => values[name] ?? whole)
}

const portOf = (address: string) => Number(address.split(':').at(-1))

/** The demo's file, over http. */
export async function startNginx(t: Test, site: Site, version: Version = 'distribution'): Promise<boolean> {
  const { app, auth, gateway, upstream } = site
  const text = filledIn('config/demo/nginx.conf.template', {
    DEMO_APP_LISTEN: app,
    DEMO_AUTH_LISTEN: auth,
    DEMO_GATEWAY_UPSTREAM: gateway,
    DEMO_APP_UPSTREAM: upstream,
  })
  return await runNginx(t, text, portOf(app), version) !== undefined
}

type Behind = Pick<Site, 'gateway' | 'upstream'>

export async function startNginxTls(
  t: Test,
  behind: Behind,
  tls: Tls,
  version: Version = 'distribution',
): Promise<Running | undefined> {
  const { certificate, key, appHost, authHost, port, address = '127.0.0.1' } = tls
  const site = filledIn('config/proxies/nginx/site.conf.template', {
    GATEHOUSE_LISTEN: `${address}:${port} ssl${version === 'newest' ? '' : ' http2'}`,
    GATEHOUSE_PORT: String(port),
    GATEHOUSE_CERTIFICATE: certificate,
    GATEHOUSE_CERTIFICATE_KEY: key,
    GATEHOUSE_APP_HOST: appHost,
    GATEHOUSE_AUTH_HOST: authHost,
    GATEHOUSE_UPSTREAM: behind.gateway,
    GATEHOUSE_APP_UPSTREAM: behind.upstream,
  })
  // From 1.25.1 on HTTP/2 is a directive of its own.
  return await runNginx(t, version === 'newest' ? `http2 on;\n${site}` : site, port, version, address)
}

async function runCaddy(
  t: Test,
  host: string,
  port: number,
  env: Record<string, string>,
  version: Version,
): Promise<Running | undefined> {
  const caddy = version === 'newest' ? newestProxy(t, 'caddy') : program(t, 'caddy')
  if (caddy === undefined) return undefined
  const home = folder(t, 'caddy')
  const own = { HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home, GATEHOUSE_BIND: host }
  const args = ['run', '--config', 'config/proxies/Caddyfile', '--adapter', 'caddyfile']
  return await run(t, caddy, args, { host, port, env: { ...own, ...env } })
}

export async function startCaddy(t: Test, site: Site, version: Version = 'distribution'): Promise<boolean> {
  const { app, auth, gateway, upstream } = site
  return await runCaddy(t, '127.0.0.1', portOf(app), {
    GATEHOUSE_PORT: String(portOf(app)),
    GATEHOUSE_OTHER_SITES: `http://:${portOf(app)}`,
    GATEHOUSE_APP_SITE: `http://${app}`,
    GATEHOUSE_AUTH_SITE: `http://${auth}`,
    GATEHOUSE_UPSTREAM: gateway,
    GATEHOUSE_APP_UPSTREAM: upstream,
    GATEHOUSE_AUTO_HTTPS: 'off',
  }, version) !== undefined
}

export async function startCaddyTls(
  t: Test,
  behind: Behind,
  tls: Tls,
  version: Version = 'distribution',
): Promise<Running | undefined> {
  const { certificate, key, appHost, authHost, port, address = '127.0.0.1' } = tls
  const at = port === 443 ? '' : `:${port}`
  return await runCaddy(t, address, port, {
    GATEHOUSE_PORT: String(port),
    GATEHOUSE_OTHER_SITES: `https://:${port}`,
    GATEHOUSE_APP_SITE: `https://${appHost}${at}`,
    GATEHOUSE_AUTH_SITE: `https://${authHost}${at}`,
    GATEHOUSE_UPSTREAM: behind.gateway,
    GATEHOUSE_APP_UPSTREAM: behind.upstream,
    GATEHOUSE_AUTO_HTTPS: 'disable_redirects',
    GATEHOUSE_TLS: `tls ${certificate} ${key}`,
  }, version)
}

async function runHaproxy(
  t: Test,
  host: string,
  port: number,
  env: Record<string, string>,
): Promise<Running | undefined> {
  const haproxy = program(t, 'haproxy')
  if (haproxy === undefined) return undefined
  const own = { GATEHOUSE_LUA: 'config/proxies/gatehouse.lua' }
  return await run(t, haproxy, ['-db', '-f', 'config/proxies/haproxy.cfg'], { host, port, env: { ...own, ...env } })
}

/** @param lua another file in the place of the shipped one */
export async function startHaproxy(t: Test, { app, auth, gateway, upstream }: Site, lua?: string): Promise<boolean> {
  return await runHaproxy(t, '127.0.0.1', portOf(app), {
    ...(lua === undefined ? {} : { GATEHOUSE_LUA: lua }),
    GATEHOUSE_PORT: String(portOf(app)),
    GATEHOUSE_BIND: `${app},${auth}`,
    GATEHOUSE_APP_HOST: app,
    GATEHOUSE_AUTH_HOST: auth,
    GATEHOUSE_UPSTREAM: gateway,
    GATEHOUSE_APP_UPSTREAM: upstream,
  }) !== undefined
}

export async function startHaproxyTls(t: Test, behind: Behind, tls: Tls): Promise<Running | undefined> {
  const { certificate, key, appHost, authHost, port, address = '127.0.0.1' } = tls
  const pem = join(folder(t, 'haproxy'), 'both.pem')
  writeFileSync(pem, `${readFileSync(certificate, 'utf8')}${readFileSync(key, 'utf8')}`, { mode: 0o600 })
  const at = port === 443 ? '' : `:${port}`
  return await runHaproxy(t, address, port, {
    GATEHOUSE_PORT: String(port),
    GATEHOUSE_BIND: `${address}:${port} ssl crt ${pem} alpn h2,http/1.1`,
    GATEHOUSE_APP_HOST: `${appHost}${at}`,
    GATEHOUSE_AUTH_HOST: `${authHost}${at}`,
    GATEHOUSE_UPSTREAM: behind.gateway,
    GATEHOUSE_APP_UPSTREAM: behind.upstream,
  })
}
