// A collector that is down, slow or talks nonsense costs spans: no login waits for it, the log says it once, and the
// process ends.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { startCollector } from '../../helpers/collector.js'
import { freePorts, startTestGateway, type TestGateway } from '../../helpers/gateway.js'
import { freshDatabase } from '../../helpers/postgres.js'
import { run } from '../../helpers/programs.js'

const LOST = 'spans did not arrive at the collector and are lost'
const FAST = {
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
  OTEL_BSP_SCHEDULE_DELAY: '10',
  OTEL_TRACES_SAMPLER: 'always_on',
}
const lost = (gateway: TestGateway) => gateway.log.filter(({ msg }) => msg === LOST)
const ask = async (gateway: TestGateway, times: number): Promise<void> => {
  for (let each = 0; each < times; each++) {
    await gateway.ask('/oauth2/auth', { headers: { 'x-original-url': 'https://a.test/', 'x-original-method': 'GET' } })
    await sleep(15)
  }
}

/** How long a login and the gateway's end take. */
async function timed(t: Test, gateway: TestGateway): Promise<void> {
  await gateway.signIn(PERSON_IDS.nobody) // the first one is slower
  const began = performance.now()
  const { answer } = await gateway.signIn(PERSON_IDS.staff)
  const login = performance.now() - began
  t.equal(answer.status, 200)
  await ask(gateway, 20)
  const closing = performance.now()
  await gateway.close()
  t.comment(`login ${login.toFixed(0)} ms, end ${(performance.now() - closing).toFixed(0)} ms`)
  t.ok(login < 1_500, 'a login waits for nothing')
  t.ok(performance.now() - closing < 3_500, 'the end waits two seconds at most')
}

// proves: trace-once
t.test('a collector that is not there', async (t) => {
  const [port] = await freePorts(1)
  const gateway = await startTestGateway(t, {
    tracing: { ...FAST, OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_EXPORTER_OTLP_TIMEOUT: '300' },
  })
  await timed(t, gateway)
  t.match(lost(gateway), [{ level: 'warn', detail: 'ECONNREFUSED' }], 'once')
  t.equal(lost(gateway).length, 1)
})

const NONSENSE: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'a page': (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>'),
  'a refusal': (response) => response.writeHead(401).end('who are you? '.repeat(10_000)),
  'a redirect': (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
  'a rejection': (response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(
      '{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}}',
    ),
  'a broken connection': (response) => response.destroy(),
  'something without end': (response) => {
    response.writeHead(200)
    const more = setInterval(() => response.write('x'.repeat(40_000)), 5)
    response.on('close', () => clearInterval(more))
  },
  'a drop at a time': (response) => {
    response.writeHead(200)
    const more = setInterval(() => response.write('x'), 20)
    response.on('close', () => clearInterval(more))
  },
  'come back in an hour': (response) => response.writeHead(429, { 'retry-after': '3600' }).end(),
  'nothing': () => {},
}

t.test('a collector that answers', async (t) => {
  for (const [what, answer] of Object.entries(NONSENSE)) {
    await t.test(what, async (t) => {
      const collector = await startCollector(t)
      collector.answer = answer
      const gateway = await startTestGateway(t, { tracing: { ...FAST, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } })
      await timed(t, gateway)
      t.ok(collector.received.length > 0)
      t.ok(lost(gateway).length <= 1, 'the log says it once')
      t.notMatch(gateway.rawLog.join(''), 'who are you')
      t.equal(gateway.log.filter(({ level }) => level === 'error' || level === 'fatal').length, 0)
    })
  }
})

t.test('a collector that comes back: the batch is tried again, and the log says so', async (t) => {
  const collector = await startCollector(t)
  const well = collector.answer
  collector.answer = (response) => response.writeHead(503, { 'retry-after': '1' }).end()
  const gateway = await startTestGateway(t, { tracing: { ...FAST, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } })
  await ask(gateway, 1)
  while (collector.received.length === 0) await sleep(10)
  collector.answer = well
  while (collector.received.length < 2) await sleep(10)
  t.strictSame(collector.received[1]?.body, collector.received[0]?.body)
  t.equal(lost(gateway).length, 0)

  collector.answer = (response) => response.writeHead(400).end()
  await ask(gateway, 3)
  while (lost(gateway).length === 0) await sleep(10)
  t.match(lost(gateway), [{ detail: 'it answered 400' }])
  collector.answer = well
  await ask(gateway, 1)
  while (!gateway.log.some(({ msg }) => msg === 'traces arrive at the collector again')) await sleep(10)
})

/** Says at the end which packages of OpenTelemetry were loaded. */
const LOADED = `data:text/javascript,${
  encodeURIComponent(
    'import { createRequire } from "node:module"; const { cache } = createRequire("/"); process.on("exit", () => ' +
      'console.log("LOADED " + [...new Set(Object.keys(cache).flatMap((path) => ' +
      '/@opentelemetry.([\\w-]+)/.exec(path)?.[1] ?? []))].sort().join(" ")))',
  )
}`

t.test('the process', async (t) => {
  const collector = await startCollector(t)
  collector.answer = () => {} // holds every connection
  const serve = async (env: Record<string, string>) => {
    const home = mkdtempSync(join(tmpdir(), 'gatehouse-traces-'))
    t.teardown(() => rmSync(home, { recursive: true }))
    const [port, management] = await freePorts(2)
    writeFileSync(
      join(home, 'gatehouse.yaml'),
      stringify({
        server: { publicUrl: `http://127.0.0.1:${port}`, host: '127.0.0.1', port, management: { port: management } },
        entra: {
          tenantId: '8f3f7d0e-1c2b-4a5d-9e6f-7a8b9c0d1e2f',
          clientId: 'b14a7505-96e9-4927-91e8-0601d0fc9caa',
          clientSecret: 'a~secret',
        },
        database: { url: await freshDatabase(t) },
        session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
        keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
      }),
    )
    const serving = await run(t, process.execPath, [
      '--import',
      LOADED,
      'dist/cli.js',
      'serve',
      '--config',
      join(home, 'gatehouse.yaml'),
    ], {
      ready: (output) => output.includes('configuration in force'),
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: '',
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: '',
        OTEL_TRACES_EXPORTER: '',
        ...env,
      },
    })
    await fetch(`http://127.0.0.1:${port}/oauth2/start`, { redirect: 'manual' })
    const ended = new Promise((resolve) => serving.process.once('exit', resolve))
    const began = performance.now()
    serving.process.kill('SIGTERM')
    t.equal(await ended, 0)
    return {
      took: performance.now() - began,
      loaded: /LOADED (.*)/.exec(serving.output())?.[1]?.split(' '),
      output: serving.output(),
    }
  }

  // proves: trace-off
  await t.test('without variables OpenTelemetry is not loaded, except the API that prom-client imports', async (t) => {
    for (
      const env of [{}, { OTEL_SERVICE_NAME: 'x' }, {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_SDK_DISABLED: 'true',
      }, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_TRACES_EXPORTER: 'none' }]
    ) {
      t.strictSame((await serve(env)).loaded, ['api'], JSON.stringify(env))
    }
    t.equal(collector.received.length, 0)
  })

  // proves: trace-end
  await t.test('ends while a collector holds its connection', async (t) => {
    const { took, loaded, output } = await serve({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    t.ok(loaded?.includes('sdk-trace'), 'the look at what is loaded sees it')
    t.match(output, 'traces are on')
    t.equal(collector.received.length, 1)
    t.comment(`${took.toFixed(0)} ms`)
    t.ok(took < 6_000, "two seconds of which are the proxies'")
  })

  await t.test('a variable that cannot be used is named, and the gateway runs', async (t) => {
    const { loaded, output } = await serve({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' })
    t.match(output, '"variable":"OTEL_EXPORTER_OTLP_ENDPOINT"')
    t.strictSame(loaded, ['api'])
  })
})
