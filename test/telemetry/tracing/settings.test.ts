// OpenTelemetry's variables: what each asks for, and that one that cannot be read is named without its value.
import t from 'tap'
import { parseTraceparent } from '../../../src/core/tracer.js'
import { readSettings, SAMPLERS } from '../../../src/telemetry/tracing/settings.js'
import type { Environment } from '../../../src/core/environment.js'

const noFile = (): string => {
  throw new Error('there is no file')
}
const read = (env: Environment) => readSettings(env, noFile)
const wrong = (env: Environment) => read(env).problems.map(({ variable }) => variable)
const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }

t.test('whether there are traces', async (t) => {
  const on = (env: Environment) => {
    const { settings } = read(env)
    return settings === undefined
      ? 'off'
      : [settings.otlp?.url.href, settings.console ? 'console' : undefined].filter((each) => each !== undefined).join(
        ' ',
      )
  }
  for (
    const [env, expected] of [
      [{}, 'off'],
      [{ OTEL_SERVICE_NAME: 'x', OTEL_TRACES_SAMPLER: 'always_on' }, 'off'],
      [{ OTEL_EXPORTER_OTLP_ENDPOINT: '' }, 'off'],
      [ENDPOINT, 'http://collector:4318/v1/traces'],
      [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector/otlp/' }, 'https://collector/otlp/v1/traces'],
      [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://traces/as/it/stands' }, 'https://traces/as/it/stands'],
      [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://traces/x' }, 'http://traces/x'],
      [{ OTEL_TRACES_EXPORTER: 'otlp' }, 'http://localhost:4318/v1/traces'],
      [{ OTEL_TRACES_EXPORTER: 'console' }, 'console'],
      [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'console' }, 'console'],
      [{ OTEL_TRACES_EXPORTER: 'otlp, Console' }, 'http://localhost:4318/v1/traces console'],
      [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }, 'off'],
      [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }, 'off'],
      [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'yes' }, 'http://collector:4318/v1/traces'],
    ] as const
  ) t.equal(on(env), expected, JSON.stringify(env))
})

t.test('what cannot be used is named, and never costs more than the traces', async (t) => {
  t.strictSame(wrong({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' }), ['OTEL_EXPORTER_OTLP_ENDPOINT'])
  t.equal(read({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' }).settings, undefined)
  t.strictSame(wrong({ ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }), ['OTEL_EXPORTER_OTLP_PROTOCOL'])
  t.equal(read({ ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }).settings, undefined)
  t.strictSame(wrong({ OTEL_TRACES_EXPORTER: 'zipkin' }), ['OTEL_TRACES_EXPORTER'])
  t.strictSame(wrong({ ...ENDPOINT, OTEL_TRACES_SAMPLER: 'sometimes' }), ['OTEL_TRACES_SAMPLER'])
  t.equal(read({ ...ENDPOINT, OTEL_TRACES_SAMPLER: 'sometimes' }).settings?.sampler.chosen, false)
  t.strictSame(wrong({ ...ENDPOINT, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '50%' }), [
    'OTEL_TRACES_SAMPLER_ARG',
  ])
  t.strictSame(
    wrong({
      ...ENDPOINT,
      OTEL_BSP_MAX_QUEUE_SIZE: '-1',
      OTEL_EXPORTER_OTLP_TIMEOUT: 'soon',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'zip',
    }),
    ['OTEL_EXPORTER_OTLP_TIMEOUT', 'OTEL_EXPORTER_OTLP_COMPRESSION', 'OTEL_BSP_MAX_QUEUE_SIZE'],
  )
  t.strictSame(wrong({ ...ENDPOINT, OTEL_EXPORTER_OTLP_CERTIFICATE: '/not/there' }), ['OTEL_EXPORTER_OTLP_CERTIFICATE'])
  for (const headers of ['authorization', '=x', 'a=%', 'b d=x', 'a=%0d%0ax']) {
    const { settings, problems } = read({ ...ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS: `${headers}-canary` })
    t.strictSame(problems.map(({ variable }) => variable), ['OTEL_EXPORTER_OTLP_HEADERS'], headers)
    t.strictSame(settings?.otlp?.headers, {})
    t.notMatch(JSON.stringify(problems), 'canary')
  }
  t.strictSame(read({ ...ENDPOINT, OTEL_RESOURCE_ATTRIBUTES: 'a=1,b' }).settings?.resource, {}, 'all or nothing')
})

t.test('how spans are sent', async (t) => {
  const otlp = (env: Environment) =>
    readSettings({ ...ENDPOINT, ...env }, (path) => `content of ${path}`).settings?.otlp
  t.match(otlp({}), { protocol: 'http/protobuf', timeoutMs: 10_000, gzip: false, headers: {}, tls: {} })
  t.strictSame(
    otlp({
      OTEL_EXPORTER_OTLP_HEADERS: 'Authorization=Bearer%20a=b, x-tenant = one',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'X-Tenant=two',
    })?.headers,
    { 'authorization': 'Bearer a=b', 'x-tenant': 'two' },
  )
  t.match(
    otlp({
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_TIMEOUT: '2000',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    }),
    { protocol: 'http/json', timeoutMs: 2000, gzip: true },
  )
  t.strictSame(
    otlp({
      OTEL_EXPORTER_OTLP_CERTIFICATE: 'ca',
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: 'cert',
      OTEL_EXPORTER_OTLP_CLIENT_KEY: 'key',
    })?.tls,
    { ca: 'content of ca', cert: 'content of cert', key: 'content of key' },
  )
})

t.test('sampler, resource, batches', async (t) => {
  const settings = (env: Environment) => read({ ...ENDPOINT, ...env }).settings
  t.strictSame(settings({})?.sampler, { chosen: false, name: 'parentbased_always_on', ratio: 1 })
  for (const name of SAMPLERS) {
    t.match(settings({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: '0.25' })?.sampler, {
      chosen: true,
      name,
      ratio: name.endsWith('ratio') ? 0.25 : 1,
    })
  }
  t.strictSame(
    settings({
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,deployment.environment.name=a%2Cb',
      OTEL_SERVICE_NAME: 'login',
    })?.resource,
    { 'service.name': 'login', 'deployment.environment.name': 'a,b' },
  )
  t.strictSame(settings({ OTEL_BSP_SCHEDULE_DELAY: '100', OTEL_BSP_MAX_QUEUE_SIZE: '10' })?.batch, {
    scheduledDelayMillis: 100,
    maxQueueSize: 10,
    maxExportBatchSize: 10,
  })
  t.strictSame([
    settings({})?.continues,
    settings({ OTEL_PROPAGATORS: 'none' })?.continues,
    settings({ OTEL_PROPAGATORS: 'baggage, tracecontext' })?.continues,
  ], [true, false, true])
})

t.test('traceparent', async (t) => {
  const [trace, span] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7']
  t.strictSame(parseTraceparent(`00-${trace}-${span}-01`), { traceId: trace, spanId: span, sampled: true })
  t.strictSame(parseTraceparent(`00-${trace}-${span}-00`), { traceId: trace, spanId: span, sampled: false })
  t.equal(parseTraceparent(`00-${trace}-${span}-03`)?.sampled, true, 'flags of later levels')
  t.equal(parseTraceparent(`cc-${trace}-${span}-01-what-the-future-brings`)?.traceId, trace)
  for (
    const header of [
      '',
      'x',
      `ff-${trace}-${span}-01`,
      `00-${trace}-${span}-01-more`,
      `00-${trace}-${span}`,
      `00-${trace.toUpperCase()}-${span}-01`,
      `00-${'0'.repeat(32)}-${span}-01`,
      `00-${trace}-${'0'.repeat(16)}-01`,
      `00-${trace}-${span}-01, 00-${trace}-${span}-01`,
      ` 00-${trace}-${span}-01`,
      `00-${trace}-${span}-01\n`,
    ]
  ) t.equal(parseTraceparent(header), undefined, JSON.stringify(header))
})
