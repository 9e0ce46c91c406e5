// `audit.export`: which addresses, formats and secrets fit together, and that no message repeats what may be secret.
import t from 'tap'
import { loadConfig } from '../../src/config/load.js'
import { problemsOf } from '../helpers/config-problems.js'

const ID = '0a1b2c3d-1111-2222-3333-444444444444'
const KEY = Buffer.from('0123456789abcdefghijklmnopqrstuv').toString('base64')

function load(lines: Readonly<Record<string, string>>, secretFile?: string) {
  const text = `server: { publicUrl: https://auth.corp.test }
entra: { tenantId: ${ID}, clientId: ${ID}, clientSecret: a-client-secret }
database: { embedded: true }
session: { secrets: [qwertzuiopasdfghjklyxcvbnm0123456] }
keys: { encryptionSecrets: [mnbvcxylkjhgfdsapoiuztrewq9876543] }
audit:
  export:
${Object.entries(lines).map(([name, value]) => `    ${name}: ${JSON.stringify(value)}`).join('\n')}
`
  const readFile = (path: string): string => {
    if (path === '/etc/gh/gatehouse.yaml') return text
    if (path === '/etc/gh/secret' && secretFile !== undefined) return secretFile
    throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
  }
  return loadConfig('/etc/gh/gatehouse.yaml', { env: {}, readFile })
}

/** What is refused, with its place. */
const refusals = (lines: Readonly<Record<string, string>>, secretFile?: string) =>
  problemsOf(() => load(lines, secretFile)).map(({ code, path }) => `${code} ${path}`)
const webhook = (url: string) => ({ format: 'webhook', secretFile: 'secret', url })

t.test('each format with its addresses and its secret', async (t) => {
  for (
    const url of ['https://siem.corp.test/in?x=1', 'http://127.0.0.1:8080/', 'http://localhost/a', 'http://[::1]:1/']
  ) {
    const { config, secretFiles } = load(webhook(url), `whsec_${KEY}\n`)
    t.strictSame(config.audit.export, { url, format: 'webhook', secret: `whsec_${KEY}` })
    t.strictSame(secretFiles, ['/etc/gh/secret'])
  }
  for (const url of ['syslog+tls://siem.corp.test:6514', 'syslog+tls://[fd00::1]', 'syslog+tcp://127.0.0.1:601']) {
    const { config, warnings } = load({ format: 'syslog', url })
    t.strictSame(config.audit.export, { url, format: 'syslog', secret: undefined })
    t.strictSame(warnings.filter(({ path }) => path.startsWith('audit')), [])
  }
  t.match(load({ format: 'otlp', url: 'https://otel.corp.test' }).config.audit.export, { secret: undefined })
  t.match(load({ format: 'otlp', url: 'https://otel.corp.test', secretFile: 'secret' }, 'eyJ0b2tlbiI6MX0.x-y_z==\n'), {
    config: { audit: { export: { secret: 'eyJ0b2tlbiI6MX0.x-y_z==' } } },
  })
})

// proves: audit-export-no-credentials, audit-export-https
t.test('what does not fit is refused', async (t) => {
  const wrongUrl = 'export_url_invalid audit.export.url'
  for (
    const url of [
      'siem.corp.test',
      'ftp://siem.corp.test',
      'syslog://siem.corp.test',
      'https://user@siem.corp.test/',
      'https://user:canary-of-a-password@siem.corp.test/',
      'https://siem.corp.test/#x',
      'https://a b/',
      'https://',
    ]
  ) t.strictSame(refusals(webhook(url), KEY), [wrongUrl], url)
  for (
    const url of [
      'syslog+tls://siem.corp.test/path',
      'syslog+tls://siem.corp.test?x',
      'syslog+tls://u:p@siem.corp.test',
    ]
  ) {
    t.strictSame(refusals({ format: 'syslog', url }), [wrongUrl], url)
  }
  const { message, remedy } = problemsOf(() =>
    load(webhook('https://user:canary-of-a-password@siem.corp.test/'), KEY)
  )[0]!
  t.notMatch(`${message} ${remedy}`, 'canary')

  t.strictSame(refusals(webhook('http://siem.corp.test/'), KEY), ['export_url_https audit.export.url'])
  t.strictSame(refusals(webhook('http://10.0.0.7/'), KEY), ['export_url_https audit.export.url'])
  t.strictSame(refusals(webhook('syslog+tls://siem.corp.test'), KEY), ['export_url_format audit.export.url'])
  t.strictSame(refusals({ format: 'syslog', url: 'https://siem.corp.test' }), ['export_url_format audit.export.url'])
  t.strictSame(refusals({ format: 'syslog', url: 'syslog+tcp://203.0.113.7' }), ['export_url_plain audit.export.url'])
  t.strictSame(refusals({ format: 'syslog', url: 'syslog+tls://siem.corp.test', secretFile: 'secret' }, KEY), [
    'export_secret_unused audit.export.secretFile',
  ])
  t.strictSame(refusals({ format: 'webhook', url: 'https://siem.corp.test' }), ['export_secret_missing audit.export'])
  t.strictSame(refusals(webhook('https://siem.corp.test'), 'a-short-one'), [
    'export_secret_invalid audit.export.secretFile',
  ])
  t.strictSame(refusals({ format: 'otlp', url: 'https://otel.corp.test', secretFile: 'secret' }, 'Bearer abc'), [
    'export_secret_invalid audit.export.secretFile',
  ])
  t.strictSame(refusals({ format: 'kafka', url: 'https://siem.corp.test' }), ['value_unknown audit.export.format'])
  t.strictSame(refusals({ format: 'otlp' }), ['key_missing audit.export.url'])
})

t.test('syslog without TLS is warned of unless it stays on this machine', async (t) => {
  for (const host of ['10.0.0.7', 'siem.corp.test']) {
    const { warnings } = load({ format: 'syslog', url: `syslog+tcp://${host}:601` })
    t.match(warnings.filter(({ path }) => path === 'audit.export.url'), [{ code: 'export_url_plain' }])
  }
})
