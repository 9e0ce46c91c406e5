// As much of Docker's API as Traefik's provider asks for: the services of traefik-labels.yml as running containers.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export interface FakeContainer {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
}

/** @returns the port it listens on */
export async function startDockerApi(t: Test, containers: readonly FakeContainer[]): Promise<number> {
  const all = containers.map(described)
  const server = createServer((request, response) => {
    const path = (request.url ?? '').replace(/^\/v1\.\d+/, '').replace(/\?.*$/, '')
    response.setHeader('api-version', '1.47')
    response.setHeader('content-type', 'application/json')
    const one = all.find(({ Id }) => path === `/containers/${Id}/json`)
    if (path === '/_ping') response.end('OK')
    else if (path === '/version') response.end(JSON.stringify({ Version: '27.0.0', ApiVersion: '1.47', Os: 'linux' }))
    else if (path === '/events') response.flushHeaders()
    else if (path === '/containers/json') response.end(JSON.stringify(all.map(listed)))
    else if (one) response.end(JSON.stringify(inspected(one)))
    else response.writeHead(404).end('{"message":"not there"}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.closeAllConnections())
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

interface Described extends FakeContainer {
  readonly Id: string
}

const NETWORKS = { bridge: { IPAddress: '127.0.0.1', NetworkID: 'n'.repeat(64) } }

function described(container: FakeContainer, index: number): Described {
  return {
    ...container,
    Id: String(index + 1)
      .repeat(64)
      .slice(0, 64),
  }
}

const listed = ({ Id, name, labels }: Described) => ({
  Id,
  Names: [`/${name}`],
  Image: name,
  Labels: labels,
  State: 'running',
  Status: 'Up',
  HostConfig: { NetworkMode: 'bridge' },
  NetworkSettings: { Networks: NETWORKS },
})

const inspected = ({ Id, name, labels }: Described) => ({
  Id,
  Name: `/${name}`,
  Created: '2026-01-01T00:00:00Z',
  State: { Status: 'running', Running: true },
  Config: { Labels: labels },
  HostConfig: { NetworkMode: 'bridge' },
  NetworkSettings: { Networks: NETWORKS, Ports: {} },
})
