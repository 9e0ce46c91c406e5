// Traefik on the shipped files: the dynamic file, the labels by a fake Docker API, and ingress-nginx.yaml by
// Traefik's own reader of such files and a fake Kubernetes API.
import { readFileSync, writeFileSync } from 'node:fs'
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
    }),
  )
  return await runTraefik(t, site, { file: { filename: file, watch: false } })
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
  return await runTraefik(t, site, { docker })
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
  return await runTraefik(t, site, { kubernetesIngressNGINX: { endpoint: `http://127.0.0.1:${port}`, token } })
}

interface Static {
  readonly entryPoints: { readonly websecure: object }
  readonly providers: object
}

/** @param providers in place of the static file's own, in which the address to listen on is replaced as well */
async function runTraefik(t: Test, site: ProxySite, providers: object): Promise<Running | undefined> {
  const traefik = newestProxy(t, 'traefik')
  if (traefik === undefined) return undefined
  const given = parse(readFileSync(STATIC, 'utf8')) as Static
  const entryPoints = { websecure: { ...given.entryPoints.websecure, address: `${site.address}:443` } }
  const global = { checkNewVersion: false, sendAnonymousUsage: false }
  const file = join(folder(t, 'traefik'), 'static.yml')
  writeFileSync(file, stringify({ ...given, entryPoints, providers, global }))
  return await run(t, traefik, [`--configFile=${file}`], { host: site.address, port: 443 })
}

/** In Compose files $$ is one $. */
function withDollars(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, value.replaceAll('$$', '$')]))
}
