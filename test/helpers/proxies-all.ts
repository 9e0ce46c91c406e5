// Every proxy for which a file is shipped, in each version that is tested, ready to answer for wiki.example.com and
// auth.example.com.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { newestProxy, program, skip, type Running } from './programs.js'
import { startCaddyTls, startHaproxyTls, startNginxTls, type Tls } from './proxies.js'
import { startEnvoy } from './proxies-envoy.js'
import { APP, AUTH, loopbackAddress, type ProxySite } from './proxies-scene.js'
import { startTraefik, startTraefikIngress, startTraefikLabels } from './proxies-traefik.js'
import { askRaw, type Place } from './raw-http.js'

export interface Proxy {
  /** As docs/proxies.md has it. */
  readonly name: string
  /** The shipped file. */
  readonly file: string
  /** The gateway's server.authRequestHeaders, where it must be another than the default. */
  readonly authRequestHeaders?: 'forwarded'
  /** The client's Host says the port, as the file warns: no rules with ports there. */
  readonly portByHost?: true
  /** Takes no upgrade away but h2c. */
  readonly anyUpgrade?: true
  /** Skips the test where the program is not there. */
  missing(t: Test): boolean
  start(t: Test, site: ProxySite): Promise<Running | undefined>
}

const tlsOf = (site: ProxySite): Tls => ({
  ...site.tls,
  appHost: APP,
  authHost: AUTH,
  port: 443,
  address: site.address,
})

const installed = (name: string) => (t: Test) => program(t, name) === undefined
const newest = (name: Parameters<typeof newestProxy>[1]) => (t: Test) => newestProxy(t, name) === undefined

export const PROXIES: readonly Proxy[] = [
  {
    name: 'nginx of Debian',
    file: 'nginx/site.conf.template',
    missing: installed('nginx'),
    start: (t, site) => startNginxTls(t, site, tlsOf(site)),
  },
  {
    name: 'nginx 1.31',
    file: 'nginx/site.conf.template',
    missing: newest('nginx'),
    start: (t, site) => startNginxTls(t, site, tlsOf(site), 'newest'),
  },
  {
    name: 'Caddy of Debian',
    file: 'Caddyfile',
    missing: installed('caddy'),
    start: (t, site) => startCaddyTls(t, site, tlsOf(site)),
  },
  {
    name: 'Caddy 2.11',
    file: 'Caddyfile',
    missing: newest('caddy'),
    start: (t, site) => startCaddyTls(t, site, tlsOf(site), 'newest'),
  },
  {
    name: 'HAProxy of Debian',
    file: 'haproxy.cfg',
    missing: installed('haproxy'),
    start: (t, site) => startHaproxyTls(t, site, tlsOf(site)),
  },
  { name: 'Traefik 3.7', file: 'traefik.yml', missing: newest('traefik'), start: startTraefik },
  { name: 'Traefik 3.7, labels', file: 'traefik-labels.yml', missing: newest('traefik'), start: startTraefikLabels },
  {
    name: 'Traefik 3.7, ingress-nginx provider',
    file: 'ingress-nginx.yaml',
    authRequestHeaders: 'forwarded',
    portByHost: true,
    anyUpgrade: true,
    missing: newest('traefik'),
    start: startTraefikIngress,
  },
  { name: 'Envoy 1.40', file: 'envoy.yaml', missing: newest('envoy'), start: startEnvoy },
]

export interface StartedProxy {
  readonly app: Place
  readonly auth: Place
  readonly address: string
  /** What the program printed. */
  readonly output: () => string
}

/** @returns undefined where the test was skipped */
export async function startProxy(
  t: Test,
  proxy: Proxy,
  behind: Omit<ProxySite, 'address'>,
): Promise<StartedProxy | undefined> {
  const address = await loopbackAddress()
  if (address === undefined) {
    skip(t, 'port 443 of a loopback address may not be bound (root, or a lowered net.ipv4.ip_unprivileged_port_start)')
    return undefined
  }
  const running = await proxy.start(t, { ...behind, address })
  if (running === undefined) return undefined
  const auth = { address, sni: AUTH }
  if (proxy.name.startsWith('Traefik')) await untilRouted(auth, running)
  t.comment(`${proxy.name}: ${running.process.spawnfile}`)
  return { app: { address, sni: APP }, auth, address, output: running.output }
}

/** Traefik listens before it routes: until then every host is 404. */
async function untilRouted(auth: Place, running: Running): Promise<void> {
  for (let waited = 0; waited < 30_000; waited += 50) {
    const { status } = await askRaw(auth, {
      line: 'GET /oauth2/sign_in HTTP/1.1',
      headers: [`Host: ${AUTH}`, 'Connection: close'],
    })
    if (status !== 404 && status !== 0) return
    await sleep(50)
  }
  throw new Error(`the pages' host stays 404:\n${running.output()}`)
}
