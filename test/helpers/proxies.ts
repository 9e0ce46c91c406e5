// Real proxies on the files that are shipped, for end-to-end tests: nginx, Caddy and HAProxy.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { program, run, type Running } from './programs.js'

export interface Site {
  /** host:port, where the proxy listens for the application and for Gatehouse's pages. */
  readonly app: string
  readonly auth: string
  readonly gateway: string
  readonly upstream: string
}

export interface Tls { readonly certificate: string, readonly key: string, readonly appHost: string, readonly authHost: string, readonly port: number }

export function folder(t: Test, name: string): string {
  const home = mkdtempSync(join(tmpdir(), `gatehouse-${name}-`))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  return home
}

/** @param site the text of a file of the http level @returns undefined where nginx is not installed */
export async function runNginx(t: Test, site: string, port: number): Promise<Running | undefined> {
  const nginx = program(t, 'nginx')
  if (nginx === undefined) return undefined
  const home = folder(t, 'nginx')
  cpSync('config/proxies/nginx', join(home, 'gatehouse'), { recursive: true })
  writeFileSync(join(home, 'site.conf'), site)
  writeFileSync(join(home, 'nginx.conf'), `daemon off; worker_processes 1; pid ${home}/nginx.pid; error_log stderr warn;
events { worker_connections 4096; } http { access_log off; client_body_temp_path ${home}/a; proxy_temp_path ${home}/b; fastcgi_temp_path ${home}/c; uwsgi_temp_path ${home}/d; scgi_temp_path ${home}/e; include ${home}/site.conf; }`)
  return await run(t, nginx, ['-p', home, '-c', join(home, 'nginx.conf'), '-e', 'stderr'], { port })
}

export function filledIn(file: string, values: Readonly<Record<string, string>>): string {
  return readFileSync(file, 'utf8').replace(/\$\{([A-Z_]+)\}/g, (whole, name: string) => values[name] ?? whole)
}

const portOf = (address: string) => Number(address.split(':').at(-1))

/** The demo's file, over http. */
export async function startNginx(t: Test, { app, auth, gateway, upstream }: Site): Promise<boolean> {
  const site = filledIn('config/demo/nginx.conf.template', { DEMO_APP_LISTEN: app, DEMO_AUTH_LISTEN: auth, DEMO_GATEWAY_UPSTREAM: gateway, DEMO_APP_UPSTREAM: upstream })
  return await runNginx(t, site, portOf(app)) !== undefined
}

export async function startNginxTls(t: Test, { gateway, upstream }: Pick<Site, 'gateway' | 'upstream'>, { certificate, key, appHost, authHost, port }: Tls): Promise<boolean> {
  const site = filledIn('config/proxies/nginx/site.conf.template', { GATEHOUSE_LISTEN: `127.0.0.1:${port} ssl http2`, GATEHOUSE_CERTIFICATE: certificate, GATEHOUSE_CERTIFICATE_KEY: key, GATEHOUSE_APP_HOST: appHost, GATEHOUSE_AUTH_HOST: authHost, GATEHOUSE_UPSTREAM: gateway, GATEHOUSE_APP_UPSTREAM: upstream })
  return await runNginx(t, site, port) !== undefined
}

async function runCaddy(t: Test, port: number, env: Record<string, string>): Promise<boolean> {
  const caddy = program(t, 'caddy')
  if (caddy === undefined) return false
  const home = folder(t, 'caddy')
  await run(t, caddy, ['run', '--config', 'config/proxies/Caddyfile', '--adapter', 'caddyfile'], { port, env: { HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home, GATEHOUSE_BIND: '127.0.0.1', ...env } })
  return true
}

export async function startCaddy(t: Test, { app, auth, gateway, upstream }: Site): Promise<boolean> {
  return await runCaddy(t, portOf(app), { GATEHOUSE_APP_SITE: `http://${app}`, GATEHOUSE_AUTH_SITE: `http://${auth}`, GATEHOUSE_UPSTREAM: gateway, GATEHOUSE_APP_UPSTREAM: upstream, GATEHOUSE_AUTO_HTTPS: 'off' })
}

export async function startCaddyTls(t: Test, { gateway, upstream }: Pick<Site, 'gateway' | 'upstream'>, { certificate, key, appHost, authHost, port }: Tls): Promise<boolean> {
  return await runCaddy(t, port, { GATEHOUSE_APP_SITE: `https://${appHost}:${port}`, GATEHOUSE_AUTH_SITE: `https://${authHost}:${port}`, GATEHOUSE_UPSTREAM: gateway, GATEHOUSE_APP_UPSTREAM: upstream, GATEHOUSE_AUTO_HTTPS: 'disable_redirects', GATEHOUSE_TLS: `tls ${certificate} ${key}` })
}

async function runHaproxy(t: Test, port: number, env: Record<string, string>): Promise<boolean> {
  const haproxy = program(t, 'haproxy')
  if (haproxy === undefined) return false
  await run(t, haproxy, ['-db', '-f', 'config/proxies/haproxy.cfg'], { port, env: { GATEHOUSE_LUA: 'config/proxies/gatehouse.lua', ...env } })
  return true
}

/** @param lua another file in the place of the shipped one */
export async function startHaproxy(t: Test, { app, auth, gateway, upstream }: Site, lua?: string): Promise<boolean> {
  return await runHaproxy(t, portOf(app), { ...(lua === undefined ? {} : { GATEHOUSE_LUA: lua }), GATEHOUSE_BIND: `${app},${auth}`, GATEHOUSE_APP_HOST: app, GATEHOUSE_AUTH_HOST: auth, GATEHOUSE_UPSTREAM: gateway, GATEHOUSE_APP_UPSTREAM: upstream })
}

export async function startHaproxyTls(t: Test, { gateway, upstream }: Pick<Site, 'gateway' | 'upstream'>, { certificate, key, appHost, authHost, port }: Tls): Promise<boolean> {
  const pem = join(folder(t, 'haproxy'), 'both.pem')
  writeFileSync(pem, `${readFileSync(certificate, 'utf8')}${readFileSync(key, 'utf8')}`, { mode: 0o600 })
  return await runHaproxy(t, port, { GATEHOUSE_BIND: `127.0.0.1:${port} ssl crt ${pem} alpn h2,http/1.1`, GATEHOUSE_APP_HOST: `${appHost}:${port}`, GATEHOUSE_AUTH_HOST: `${authHost}:${port}`, GATEHOUSE_UPSTREAM: gateway, GATEHOUSE_APP_UPSTREAM: upstream })
}
