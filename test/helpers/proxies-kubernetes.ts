// As much of Kubernetes' API as Traefik's ingress-nginx provider asks for: lists that never change.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { ServerIdentityFiles } from './proxies-scene.js'
import { readFileSync } from 'node:fs'

export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly annotations?: Readonly<Record<string, string>>
  }
}

export interface Cluster {
  /** The documents of the shipped file. */
  readonly objects: readonly KubernetesObject[]
  /** Services by namespace/name, with the port that the Ingress names and the one that is there. */
  readonly services: readonly {
    readonly namespace: string
    readonly name: string
    readonly port: number
    readonly listening: number
  }[]
  readonly secrets: readonly { readonly namespace: string, readonly name: string }[]
  readonly tls: ServerIdentityFiles
}

/** @returns the port it listens on */
export async function startKubernetesApi(t: Test, cluster: Cluster): Promise<number> {
  const lists = listsOf(cluster)
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://cluster')
    response.setHeader('content-type', 'application/json')
    const resource = pathname.split('/').at(-1) ?? ''
    if (pathname === '/version') response.end(JSON.stringify({ major: '1', minor: '34', gitVersion: 'v1.34.0' }))
    else if (request.method !== 'GET') response.end('{}')
    else if (searchParams.has('sendInitialEvents')) response.writeHead(422).end(JSON.stringify(INVALID))
    else if (searchParams.get('watch') === 'true') response.flushHeaders()
    else response.end(JSON.stringify(lists[resource] ?? listOf('v1', 'Status', [])))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.closeAllConnections())
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** The answer to a list with a watch in one: the client then lists, and watches afterwards. */
const INVALID = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Invalid', code: 422 }

const listOf = (apiVersion: string, kind: string, items: readonly KubernetesObject[]) => ({
  apiVersion,
  kind: `${kind}List`,
  metadata: { resourceVersion: '1' },
  items: items.map((item, index) => ({
    ...item,
    metadata: { namespace: 'default', uid: `${kind}-${index}`, resourceVersion: '1', ...item.metadata },
  })),
})

function listsOf({ objects, services, secrets, tls }: Cluster): Record<string, unknown> {
  const metadata = ({ namespace, name }: { namespace: string, name: string }) => ({ namespace, name })
  return {
    ingresses: listOf(
      'networking.k8s.io/v1',
      'Ingress',
      objects.filter(({ kind }) => kind === 'Ingress'),
    ),
    ingressclasses: listOf('networking.k8s.io/v1', 'IngressClass', [
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'IngressClass',
        metadata: { name: 'nginx' },
        spec: { controller: 'k8s.io/ingress-nginx' },
      } as KubernetesObject,
    ]),
    services: listOf(
      'v1',
      'Service',
      services.map((each) => ({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: metadata(each),
        spec: {
          type: 'ClusterIP',
          clusterIP: '127.0.0.1',
          ports: [{ name: 'http', port: each.port, targetPort: each.listening, protocol: 'TCP' }],
        },
      })),
    ),
    endpointslices: listOf(
      'discovery.k8s.io/v1',
      'EndpointSlice',
      services.map((each) => ({
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        addressType: 'IPv4',
        metadata: { ...metadata(each), labels: { 'kubernetes.io/service-name': each.name } },
        ports: [{ name: 'http', port: each.listening, protocol: 'TCP' }],
        endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true, serving: true } }],
      })),
    ),
    secrets: listOf(
      'v1',
      'Secret',
      secrets.map((each) => ({
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'kubernetes.io/tls',
        metadata: metadata(each),
        data: {
          'tls.crt': readFileSync(tls.certificate).toString('base64'),
          'tls.key': readFileSync(tls.key).toString('base64'),
        },
      })),
    ),
    namespaces: listOf('v1', 'Namespace', []),
    configmaps: listOf('v1', 'ConfigMap', []),
  }
}
