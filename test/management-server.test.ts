// The management port: what it says of a refused reload, and that nothing slow is held there.
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { ConfigError } from '../src/config/load.js'
import { createReloadRecord } from '../src/config/reload-state.js'
import { createLogger } from '../src/telemetry/logger.js'
import { createManagementServer } from '../src/management-server.js'
import { startTestGateway } from './helpers/gateway.js'

async function listening(t: Test, limits: { readonly requestTimeoutMs?: number, readonly maxConnections?: number }) {
  const app = await createManagementServer({
    readiness: async () => ({ ready: true, parts: {} }),
    metrics: { text: async () => ({ type: 'text/plain', body: '' }) },
    log: createLogger({ level: 'silent', format: 'json' }),
    ...limits,
  })
  t.teardown(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address()
  return { app, port: typeof address === 'object' ? address?.port ?? 0 : 0 }
}

async function trickling(t: Test, port: number, head: string): Promise<{ socket: Socket, answer: () => string }> {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  let text = ''
  socket.on('data', (chunk) => {
    text += String(chunk)
  }).on('error', () => {})
  await once(socket, 'connect')
  socket.write(head)
  const timer = setInterval(() => socket.write('x'), 50)
  t.teardown(() => clearInterval(timer))
  return { socket, answer: () => text }
}

// proves: adv-management-slow
t.test('a request whose headers or body arrive too slowly is ended', async (t) => {
  const { port } = await listening(t, { requestTimeoutMs: 400 })
  const heads = {
    headers: 'GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ',
    body: 'POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n',
    'a body of a route': 'GET /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n',
  }
  for (const [name, head] of Object.entries(heads)) {
    const { socket, answer } = await trickling(t, port, head)
    if (!socket.closed) await once(socket, 'close')
    t.match(answer(), /^HTTP\/1\.1 \d{3} /, name)
  }
})

// proves: adv-management-connections
t.test('the number of connections is limited', async (t) => {
  const { port } = await listening(t, { maxConnections: 3 })
  const held = await Promise.all([1, 2, 3].map(() => trickling(t, port, 'GET /healthz HTTP/1.1\r\nX: ')))
  const fourth = connect(port, '127.0.0.1').on('error', () => {})
  t.teardown(() => fourth.destroy())
  await once(fourth, 'close')
  held[0]?.socket.destroy()
  let status = 0
  while (status !== 200) {
    status = await fetch(`http://127.0.0.1:${port}/healthz`).then((answer) => answer.status, () => 0)
  }
  t.equal(status, 200)
})

t.test('a gateway has the limits of the management port', async (t) => {
  const gateway = await startTestGateway(t)
  const { socket } = await trickling(
    t,
    Number(new URL(gateway.management).port),
    'POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n',
  )
  await once(socket, 'close')
  t.pass('ended')
})

// proves: adv-reload-reported
t.test('a refused reload is in /readyz and in the metrics, and the gateway stays ready', async (t) => {
  const clock = { at: new Date('2026-11-26T10:00:00Z') }
  const record = createReloadRecord(() => clock.at)
  const gateway = await startTestGateway(t, { reload: record.state })
  const parts = async () => {
    const answer = await fetch(`${gateway.management}/readyz`)
    t.equal(answer.status, 200)
    t.equal(answer.headers.get('x-content-type-options'), 'nosniff')
    t.equal(answer.headers.get('cache-control'), 'no-store')
    return ((await answer.json()) as { parts: Record<string, string> }).parts
  }
  const metrics = async () => (await fetch(`${gateway.management}/metrics`)).text()
  t.equal((await parts()).config, 'ok')
  t.match(await metrics(), /^gatehouse_config_reload_success 1$/m)
  clock.at = new Date('2026-11-26T11:00:00Z')
  const problem = {
    file: 'gatehouse.yaml',
    line: 3,
    column: 1,
    path: 'acess',
    code: 'unknown',
    message: 'acess is no key',
    remedy: '',
  }
  record.failed(new ConfigError([problem, problem]))
  clock.at = new Date('2026-11-26T12:00:00Z')
  record.failed(new ConfigError([problem, problem]))
  t.equal(
    (await parts()).config,
    'refused since 2026-11-26T11:00:00.000Z: gatehouse.yaml:3:1: acess is no key (and 1 more)',
  )
  const text = await metrics()
  t.match(text, /^gatehouse_config_reload_success 0$/m)
  t.match(
    text,
    new RegExp(`^gatehouse_config_reload_success_timestamp_seconds ${Date.parse('2026-11-26T10:00:00Z') / 1000}$`, 'm'),
  )
  record.failed(new Error('x'.repeat(5_000)))
  t.ok((await parts()).config!.length < 400)
  record.succeeded()
  t.equal((await parts()).config, 'ok')
  t.match(await metrics(), /^gatehouse_config_reload_success 1$/m)
})
