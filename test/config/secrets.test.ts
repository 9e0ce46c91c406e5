// How secrets arrive damaged, weak or open to others, wherever they come from, and that nothing of them is shown.
/* eslint-disable no-template-curly-in-string -- what the operator writes */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig, type LoadedConfig, type ConfigProblem } from '../../src/config/load.js'
import { problemsOf } from '../helpers/config-problems.js'

const ID = '8d1f0000-1111-2222-3333-444444444444'
const FIRST = 'kJ8-first-Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv9'
const SECOND = 'uE3-second-Hm6Tn8Pc1Fy7Gs3Jv9Qe2'
const CLIENT = 'abc~client-secret.def'

type Where = Readonly<Partial<Record<'client' | 'secrets' | 'keys' | 'publicUrl', string>>>
interface Around {
  readonly env?: Record<string, string>
  readonly files?: Record<string, string>
}

const DEFAULTS = {
  client: `clientSecret: ${CLIENT}`,
  secrets: `secrets: [${FIRST}]`,
  keys: `encryptionSecrets: [${SECOND}]`,
  publicUrl: 'https://auth.corp.test',
}

function yaml(where: Where): string {
  const { client, secrets, keys, publicUrl } = { ...DEFAULTS, ...where }
  return `server: { publicUrl: "${publicUrl}" }
entra:
  tenantId: ${ID}
  clientId: ${ID}
  ${client}
database: { url: postgres://u:p@h/db }
session:
  ${secrets}
keys:
  ${keys}
groupMapping: [{ entraGroup: ${ID}, staff: true, superuser: true }]
`
}

function load(t: Test, where: Where, { env = {}, files = {} }: Around = {}): LoadedConfig {
  const directory = t.testdir({ 'gatehouse.yaml': yaml(where), ...files })
  for (const name of Object.keys(files)) chmodSync(join(directory, name), 0o600)
  return loadConfig(join(directory, 'gatehouse.yaml'), { env })
}

const secretsOf = ({ config }: LoadedConfig) => [config.entra.clientSecret, config.session.secrets]
const said = (problems: readonly ConfigProblem[]) => problems.map(({ code, path, line }) => `${code} ${path} ${line}`)

const DAMAGES: readonly (readonly [name: string, before: string, after: string, code: string])[] = [
  ['a line break at the end', '', '\n', 'secret_blank'],
  ['a Windows line break at the end', '', '\r\n', 'secret_blank'],
  ['blanks around', '  ', ' \t', 'secret_blank'],
  ['a no-break space', '', '\u00A0', 'secret_blank'],
  ['a zero-width space', '\u200B', '', 'secret_blank'],
  ['quotation marks', '"', '"', 'secret_quoted'],
  ['single quotation marks', "'", "'", 'secret_quoted'],
  ['one quotation mark', '', '"', 'secret_quoted'],
  ['typographic quotation marks', '\u201C', '\u201D', 'secret_quoted'],
  ['a line break that is written out', '', '\\n', 'secret_escaped'],
  ['an invisible character inside', 'a\u00AD', '', 'secret_invisible'],
]

// proves: adv-secret-blanks, adv-secret-quotes
t.test('quotation marks and white space around a secret are warned of; white space is removed', async (t) => {
  for (const [name, before, after, code] of DAMAGES) {
    const damaged = (secret: string) => `${before}${secret}${after}`
    const right = (secret: string) => code === 'secret_blank' ? secret : damaged(secret)
    const env = { A: damaged(CLIENT), B: damaged(FIRST) }
    const variables = load(t, { client: 'clientSecret: ${A}', secrets: 'secrets:\n    - ${B}' }, { env })
    const places = [`${code} entra.clientSecret 5`, `${code} session.secrets[0] 9`]
    t.strictSame(said(variables.warnings), places, `${name}: variables`)
    t.match(variables.warnings[0]?.message, /environment variable A/)
    t.strictSame(secretsOf(variables), [right(CLIENT), [right(FIRST)]], name)
    const literals = load(t, { client: `clientSecret: ${JSON.stringify(damaged(CLIENT))}` })
    t.strictSame(said(literals.warnings), [`${code} entra.clientSecret 5`], `${name}: in the configuration`)
    t.strictSame(secretsOf(literals), [right(CLIENT), [FIRST]], name)
    const texts = { a: `${damaged(CLIENT)}\n`, b: `${FIRST}x\n${damaged(FIRST)}\n` }
    const files = load(t, { client: 'clientSecretFile: a', secrets: 'secretsFile: b' }, { files: texts })
    const expected = [`${code} entra.clientSecretFile 5`, `${code} session.secretsFile 8`]
    if (after.endsWith('\n')) expected.pop() // an empty line of a list is none
    t.strictSame(said(files.warnings), expected, `${name}: files`)
    t.strictSame(secretsOf(files), [right(CLIENT), [`${FIRST}x`, right(FIRST)]], name)
    const all = [variables, literals, files].flatMap(({ warnings }) => warnings)
    for (const { message, remedy } of all) t.notMatch(`${message}${remedy}`, /kJ8|client-secret/, 'nothing is shown')
  }
})

t.test('a secret in the output format of a generator causes no warning', async (t) => {
  const where = { client: 'clientSecretFile: a', secrets: 'secrets: ["${B}"]' }
  const loaded = load(t, where, { env: { B: FIRST }, files: { a: `${CLIENT}\n` } })
  t.strictSame(loaded.warnings, [])
  t.strictSame(secretsOf(loaded), [CLIENT, [FIRST]])
})

// proves: adv-secret-weak
t.test('a secret that is easy to guess is refused', async (t) => {
  const refusals = (secret: string, where: (text: string) => Where) =>
    problemsOf(() => load(t, where(JSON.stringify(secret)))).map(({ code }) => code)
  const sessions = (text: string): Where => ({ secrets: `secrets: [${text}]` })
  const keys = (text: string): Where => ({ keys: `encryptionSecrets: [${text}]` })
  const weak = [
    'a'.repeat(40),
    '1'.repeat(64),
    'q7'.repeat(20),
    'abcdefg'.repeat(6),
    'Password'.repeat(4),
    '-'.repeat(32),
    '01'.repeat(32),
    'passwordpasswordPasswordpassword1',
    'gatehouse-gatehouse-gatehouse-gatehouse',
    'abcdefghijklmnopqrstuvwxyz0123456789',
    '98765432109876543210zyxwvutsrqponmlk',
    '1234567890'.repeat(4),
    '0123456789abcdef0123456789abcdef',
  ]
  for (const secret of weak) {
    for (const where of [sessions, keys]) t.strictSame(refusals(secret, where), ['secret_weak'], secret)
  }
  const examples = [
    'at least 32 characters',
    'change-me-'.repeat(5),
    'placeholder of thirty-two characters',
    'your-secret-your-secret-your-secret',
  ]
  for (const text of examples) t.strictSame(refusals(text, sessions), ['secret_placeholder'], text)
  t.strictSame(refusals('kJ8-short', sessions), ['secret_short'])
  const [problem] = problemsOf(() => load(t, sessions('a'.repeat(40))))
  t.match(problem?.message, /session\.secrets\[0\] is easy to guess: it has only 1 different character/)
})

t.test('generated secrets are never refused as weak', async (t) => {
  const usable = (secret: string) => {
    t.strictSame(problemsOf(() => load(t, { secrets: `secrets: [${JSON.stringify(secret)}]` })), [], secret)
  }
  usable('correct horse battery staple and eleven more words')
  for (let each = 0; each < 40; each++) {
    usable(randomBytes(24).toString('base64'))
    usable(randomBytes(24).toString('base64url'))
    usable(randomBytes(16).toString('hex'))
  }
})

// proves: adv-secret-of-demo
t.test('the secrets of the demo are refused if publicUrl is https', async (t) => {
  const compose = readFileSync('docker-compose.yml', 'utf8')
  const textOf = (name: string) => new RegExp(`DEMO_${name}_SECRET: (\\S+)`).exec(compose)?.[1] ?? ''
  const demo = (publicUrl: string) =>
    load(t, {
      publicUrl,
      client: `clientSecret: ${textOf('CLIENT')}`,
      secrets: `secrets: [${textOf('SESSION')}]`,
      keys: `encryptionSecrets: [${textOf('ENCRYPTION')}]`,
    })
  t.strictSame(problemsOf(() => demo('http://127.0.0.1:8081')), [])
  const places = ['entra.clientSecret 5', 'session.secrets 8', 'keys.encryptionSecrets 10']
  t.strictSame(said(problemsOf(() => demo('https://auth.corp.test'))), places.map((at) => `secret_placeholder ${at}`))
})

// proves: adv-config-writable, adv-secret-file-writable
t.test('a configuration or secret file that every user may change is warned of', async (t) => {
  const directory = t.testdir({ 'gatehouse.yaml': yaml({ client: 'clientSecretFile: secret' }), secret: `${CLIENT}\n` })
  const [file, secret] = [join(directory, 'gatehouse.yaml'), join(directory, 'secret')]
  const warned = (path = file) => said(loadConfig(path, { env: {} }).warnings)
  for (const path of [file, secret]) chmodSync(path, 0o600)
  t.strictSame(warned(), [])
  chmodSync(file, 0o602)
  t.strictSame(warned(), ['file_writable  1'])
  chmodSync(file, 0o644)
  chmodSync(secret, 0o602)
  t.strictSame(warned(), ['secret_file_writable entra.clientSecretFile 5'])
  const open = join(directory, 'open')
  mkdirSync(open)
  writeFileSync(join(open, 'gatehouse.yaml'), yaml({}), { mode: 0o600 })
  chmodSync(open, 0o777)
  t.strictSame(warned(join(open, 'gatehouse.yaml')), ['file_writable  1'], 'also where it can be replaced')
  chmodSync(open, 0o1777)
  t.strictSame(warned(join(open, 'gatehouse.yaml')), [], 'not where only its owner may replace it')
})
