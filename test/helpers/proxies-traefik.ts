// Traefik on the shipped files: the dynamic file, the labels by a fake Docker API, and ingress-nginx.yaml by
// Traefik's own reader of such files and a fake Kubernetes API.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { newestProxy, run, type Running } from './programs.js'
import { folder } from './proxies.js'
import { startDockerApi } from './proxies-docker.js'
import { startKubernetesApi, type KubernetesObject } from './proxies-kubernetes.js'
import { portOf, replaced, type ProxySite } from './proxies-scene.js'

const STATIC = 'config/proxies/traefik-static.yml'

export async function startTraefik(t: Test, site: ProxySite): Promise<Running | undefined> {
  const home = folder(t, 'traefik')
  const file = join(home, 'traefik.yml')
  writeFileSync(
    file,
    replaced('config/proxies/traefik.yml', {
      'http://gatehouse:4180': [2, `http://${site.gateway}`],
      'http://wiki:8080': [1, `http://${site.upstream}`],
    })
  )
  if (!existsSync(STATIC)) return await runTraefik(t, site, { providers: { file: { filename: file, watch: false } } })
  const given = parse(readFileSync(STATIC, 'utf8')) as Record<string, unknown>
  return await runTraefik(t, site, { ...given, providers: { file: { filename: file, watch: false } } })
}

export async function startTraefikLabels(t: Test, site: ProxySite): Promise<Running | undefined> {
  const text = replaced('config/proxies/traefik-labels.yml', {
    'http://gatehouse:4180': [1, `http://${site.gateway}`],
    'loadbalancer.server.port: "4180"': [1, `loadbalancer.server.port: "${portOf(site.gateway)}"`],
    'loadbalancer.server.port: "8080"': [1, `loadbalancer.server.port: "${portOf(site.upstream)}"`],
  })
  const { services } = parse(text) as { services: Record<string, { labels: Record<string, string> }> }
  const containers = Object.entries(services).map(([name, { labels }]) => ({ name, labels: withDollars(labels) }))
  const port = await startDockerApi(t, containers)
  const docker = { endpoint: `tcp://127.0.0.1:${port}`, exposedByDefault: false }
  return await runTraefik(t, site, { providers: { docker } })
}

export async function startTraefikIngress(t: Test, site: ProxySite): Promise<Running | undefined> {
  const text = replaced('config/proxies/ingress-nginx.yaml', {
    'http://gatehouse.gatehouse.svc.cluster.local:4180': [1, `http://${site.gateway}`],
  })
  const objects = parseAllDocuments(text).map((document) => document.toJS() as KubernetesObject)
  const services = [
    { namespace: 'default', name: 'wiki', port: 8080, listening: portOf(site.upstream) },
    { namespace: 'gatehouse', name: 'gatehouse', port: 4180, listening: portOf(site.gateway) },
  ]
  const secrets = [
    { namespace: 'default', name: 'wiki-tls' },
    { namespace: 'gatehouse', name: 'gatehouse-tls' },
  ]
  const port = await startKubernetesApi(t, { objects, services, secrets, tls: site.tls })
  const token = join(folder(t, 'token'), 'token')
  writeFileSync(token, 'none')
  return await runTraefik(t, site, {
    providers: { kubernetesIngressNGINX: { endpoint: `http://127.0.0.1:${port}`, token } },
  })
}

/** As traefik.yml asks for it. */
const ALIASES = { http: { aliasHeadersStrategy: 'delete' } }

/** @param configuration the static one, in which the address to listen on is replaced */
async function runTraefik(
  t: Test,
  site: ProxySite,
  configuration: Record<string, unknown>
): Promise<Running | undefined> {
  const traefik = newestProxy(t, 'traefik')
  if (traefik === undefined) return undefined
  const entryPoints = configuration.entryPoints as { websecure?: object } | undefined
  const websecure = { ...(entryPoints?.websecure ?? ALIASES), address: `${site.address}:443` }
  const file = join(folder(t, 'traefik'), 'static.yml')
  const log = { level: 'WARN', noColor: true }
  writeFileSync(
    file,
    stringify({
      log,
      ...configuration,
      entryPoints: { websecure },
      global: { checkNewVersion: false, sendAnonymousUsage: false },
    })
  )
  return await run(t, traefik, [`--configFile=${file}`], { host: site.address, port: 443 })
}

/** In Compose files $$ is one $. */
function withDollars(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, value.replaceAll('$$', '$')]))
}
