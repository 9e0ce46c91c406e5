// Steps of the operator's own, in whole logins: what they see, what they may do, and that none can harm more than a
// login.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config/load.js'
import { ConfigError } from '../../src/config/problem.js'
import { STEPS } from '../../src/core/pipeline/index.js'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import { createCustomSteps } from '../../src/custom-steps/registry.js'
import { errorCode } from '../helpers/assertions.js'
import { CLIENT_SECRET, SESSION_SECRET, startTestGateway, type TestGatewayOptions } from '../helpers/gateway.js'
import { connect, dump } from '../helpers/sql.js'

const NAMES = Object.keys(STEPS)
const before = (step: string): string[] => NAMES.flatMap((name) => name === step ? ['./my-step.js', name] : [name])

const withStep = (t: Test, source: string, options: TestGatewayOptions & { at?: string } = {}) =>
  startTestGateway(t, {
    ...options,
    files: { 'my-step.js': source },
    config: { pipeline: before(options.at ?? 'get_username'), ...options.config },
  })

t.test('a step sees claims, groups and the plan; no token, no secret, no environment', async (t) => {
  const gateway = await withStep(
    t,
    'export default (input) => { console.log(JSON.stringify({ input, env: process.env, argv: process.argv.length })) }',
    { at: 'azuread_map_groups' },
  )
  t.equal((await gateway.signIn(PERSON_IDS.nested)).answer.status, 200)
  const printed = gateway.log.find((line) => line.step === './my-step.js')
  const { input, env } = JSON.parse(String(printed?.line)) as {
    input: Record<string, Record<string, unknown>>
    env: object
  }
  t.strictSame(Object.keys(env), [])
  t.strictSame(Object.keys(input), ['claims', 'groupIds', 'plan'])
  t.match(input.claims, { oid: PERSON_IDS.nested, preferred_username: 'nina.nested@contoso.example' })
  t.match(input.plan, { username: 'nina.nested@contoso.example', origin: 'created', details: { name: 'Nina Nested' } })
  t.ok(Object.values(input.groupIds ?? {}).includes(GROUP_IDS.networkEngineers), 'a nested group')
  const text = String(printed?.line)
  for (const secret of [CLIENT_SECRET, SESSION_SECRET, 'access_token', 'id_token', '"code"', 'eyJ']) {
    t.notOk(text.includes(secret), secret)
  }
})

t.test('a step refuses a login with its own sentence, and nothing is stored', async (t) => {
  const gateway = await withStep(
    t,
    "export default async ({ claims }) => claims.acct === 1 ? { refuse: 'Guests <b>wait</b> outside.' } : undefined",
  )
  const query = await connect(t, gateway.databaseUrl)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const stored = await dump(query)
  const { answer } = await gateway.signIn(PERSON_IDS.guest)
  t.equal(answer.status, 403)
  t.equal(errorCode(answer), 'step_refused')
  t.match(answer.text, 'Guests &#60;b&#62;wait&#60;/b&#62; outside.')
  t.equal(await dump(query), stored)
  t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 200)
  t.ok(gateway.log.some((line) => line.code === 'step_refused' && line.step === './my-step.js'))
})

t.test('a step replaces names; the username is still made valid and unique', async (t) => {
  const gateway = await withStep(
    t,
    "export default () => ({ details: { usernameSource: 'crew', name: 'Crew Member', familyName: null } })",
  )
  const query = await connect(t, gateway.databaseUrl)
  for (const person of [PERSON_IDS.staff, PERSON_IDS.guest]) await gateway.signIn(person)
  const people = await query<{ username: string }>(
    'select username, name, family_name from users order by length(username)',
  )
  t.match(people, [{ username: 'crew', name: 'Crew Member', family_name: null }, { username: /^crew-[0-9a-f]{8}$/ }])
})

t.test('changes that a step makes to its input have no effect', async (t) => {
  const gateway = await withStep(
    t,
    `export default (input) => {
    input.groupIds.push('${'1'.repeat(8)}-0000-0000-0000-000000000000')
    input.claims.oid = 'x'
    input.plan.user = { id: 'x' }
    input.plan.details.emailVerified = true
  }`,
    {
      config: { groupMapping: [{ entraGroup: '11111111-0000-0000-0000-000000000000', superuser: true, staff: true }] },
    },
  )
  const query = await connect(t, gateway.databaseUrl)
  t.equal((await gateway.signIn(PERSON_IDS.guest)).answer.status, 200)
  t.match(await query('select is_superuser, email_verified from users'), [{ is_superuser: false }])
  t.match(await query('select oid from identities'), [{ oid: PERSON_IDS.guest }])
})

// proves: custom-step-results
t.test('an invalid return value fails the login, and nothing is stored', async (t) => {
  const nonsense: readonly string[] = [
    'true',
    '"yes"',
    '42',
    '[]',
    '{}',
    '() => {}',
    '{ then: 1, refuse: "x" }',
    'Symbol.iterator',
    '{ grants: { groups: [], staff: [], superuser: [{ row: 1 }] } }',
    '{ user: { id: "1" } }',
    '{ refuse: "" }',
    '{ refuse: true }',
    '{ refuse: "a\\nb" }',
    '{ refuse: "x".repeat(201) }',
    '{ refuse: "\\u202Eevil" }',
    '{ details: null }',
    '{ details: [] }',
    '{ details: { email: "boss@contoso.example" } }',
    '{ details: { emailVerified: true } }',
    '{ details: { usernameSource: null } }',
    '{ details: { name: 1 } }',
    '{ refuse: "x", details: {} }',
  ]
  const gateway = await withStep(
    t,
    `const answers = [${nonsense.join(', ')}]; let n = 0; export default () => answers[n++]`,
  )
  const query = await connect(t, gateway.databaseUrl)
  const stored = await dump(query)
  for (const answer of nonsense) {
    const refused = (await gateway.signIn(PERSON_IDS.staff)).answer
    t.equal(refused.status, 500, answer)
    t.equal(errorCode(refused), 'step_failed', answer)
  }
  t.equal(await dump(query), stored)
  t.equal((await gateway.signIn(PERSON_IDS.staff)).answer.status, 200, 'undefined, the next answer, is one')
})

t.test('details returned before social_details are refused', async (t) => {
  const gateway = await withStep(t, 'export default () => ({ details: { name: "X" } })', { at: 'social_details' })
  t.equal(errorCode((await gateway.signIn(PERSON_IDS.staff)).answer), 'step_failed')
})

t.test('a step that throws, hangs, loops, exits or exhausts its memory fails only its own login', async (t) => {
  const harm: Record<string, string> = {
    'throws': 'throw new Error("database password hunter2 is wrong")',
    'rejects with something else': 'return Promise.reject("no")',
    'hangs': 'return new Promise(() => {})',
    'loops for ever': 'for (;;) {}',
    'ends its process': 'process.exit(0)',
    'eats memory': 'const all = []; for (;;) all.push(new Array(1e6).fill(all.length))',
    'breaks later': 'setImmediate(() => { throw new Error("late") }); return new Promise(() => {})',
  }
  for (const [name, statement] of Object.entries(harm)) {
    await t.test(name, async (t) => {
      const gateway = await withStep(
        t,
        `export default ({ claims }) => { if (claims.oid === '${PERSON_IDS.guest}') { ${statement} } }`,
        { stepTimeoutMs: 700 },
      )
      const query = await connect(t, gateway.databaseUrl)
      const { browser } = await gateway.signIn(PERSON_IDS.staff)
      const stored = await dump(query)
      const { answer } = await gateway.signIn(PERSON_IDS.guest)
      t.equal(answer.status, 500)
      t.equal(errorCode(answer), 'step_failed')
      t.notMatch(answer.text, /hunter2|Error/, 'its words are for the log')
      t.equal(await dump(query), stored)
      t.equal((await gateway.ask('/oauth2/auth', { browser })).status, 200)
      t.equal((await gateway.signIn(PERSON_IDS.staff)).answer.status, 200, 'the next login has a working step again')
    })
  }
})

t.test('a module that cannot be loaded fails the start with the reason', async (t) => {
  const cases: Record<string, string> = {
    'no JavaScript': 'export default ( => {',
    'no default export': 'export const step = () => {}',
    'a default export that is no function': 'export default { refuse: "x" }',
    'CommonJS': 'module.exports = () => {}',
    'it throws': 'throw new Error("no"); export default () => {}',
    'it ends its process': 'process.exit(0)',
    'it imports another file': 'import "./other.js"; export default () => {}',
    'it imports an address': 'import "https://127.0.0.1:1/step.js"; export default () => {}',
  }
  for (const [name, source] of Object.entries(cases)) {
    await t.rejects(withStep(t, source), { code: 'step_unusable', facts: { step: './my-step.js' } }, name)
  }
})

t.test("a file that every user may write, or outside the configuration's directory, is refused", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-steps-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const example = readFileSync('config/gatehouse.example.yaml', 'utf8')
  mkdirSync(join(directory, 'open'))
  const refusals = (step: string, at = directory): string[] => {
    const file = join(at, 'gatehouse.yaml')
    const pipeline = before('get_username').map((name) => name === './my-step.js' ? JSON.stringify(step) : name).join(
      ', ',
    )
    writeFileSync(file, `${example.replace(/^pipeline:[^\]]*\]\n/m, '')}\npipeline: [${pipeline}]\n`)
    try {
      loadConfig(file, {
        env: {
          ENTRA_TENANT_ID: PERSON_IDS.staff,
          ENTRA_CLIENT_ID: PERSON_IDS.guest,
          ENTRA_CLIENT_SECRET: 'abc~def',
          DATABASE_URL: 'postgres://gatehouse@db/gatehouse',
          SESSION_SECRET: 'q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv',
          KEY_ENCRYPTION_SECRET: 'z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua',
        },
      })
      return []
    } catch (error) {
      return error instanceof ConfigError
        ? error.problems.map((problem) => `${problem.path} ${problem.code}`)
        : [String(error)]
    }
  }
  const write = (at: string, mode: number): void => {
    writeFileSync(at, 'export default () => {}')
    chmodSync(at, mode)
  }
  write(join(directory, 'mine.js'), 0o644)
  t.strictSame(refusals('./mine.js'), [], 'a proper one is accepted')
  write(join(directory, 'open.js'), 0o646)
  t.strictSame(refusals('./open.js'), ['pipeline[3] step_file_open'])
  write(join(directory, 'open', 'mine.js'), 0o644)
  chmodSync(join(directory, 'open'), 0o777)
  t.strictSame(
    refusals('./mine.js', join(directory, 'open')),
    ['pipeline[3] step_file_open'],
    'whoever may write to the directory may replace the file',
  )
  chmodSync(join(directory, 'open'), 0o1777)
  t.strictSame(refusals('./mine.js', join(directory, 'open')), [], 'but not where only its owner may')
  t.strictSame(refusals('./missing.js'), ['pipeline[3] step_file_missing'])
  for (
    const elsewhere of [
      '../mine.js',
      './open/mine.js',
      '/etc/mine.js',
      './mine.ts',
      './..js/x.js',
      'C:\\mine.js',
      './mine.js?x',
    ]
  ) t.match(refusals(elsewhere), [/step_(path|url|unknown)$/], elsewhere)
  for (
    const address of ['https://contoso.example/mine.js', 'data:text/javascript,x', 'file:///etc/mine.js', 'node:fs']
  ) {
    t.strictSame(refusals(address), ['pipeline[3] step_url'], address)
  }
})

t.test('a file that changed after the check does not run', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-steps-'))
  const path = join(directory, 'step.js')
  writeFileSync(path, 'export default () => {}')
  const steps = createCustomSteps({ log: { info: () => {} } })
  t.teardown(async () => {
    await steps.close()
    rmSync(directory, { recursive: true })
  })
  await t.rejects(steps.prepare([{ name: './step.js', path, sha256: '0'.repeat(64) }]), { code: 'step_unusable' })
  t.type(await steps.prepare([]).catch((error: unknown) => error), 'undefined')
})

t.test('the example of docs/custom-steps.md works as the page describes', async (t) => {
  const [, source = ''] = /```js\n([\s\S]*?)```/.exec(readFileSync('docs/custom-steps.md', 'utf8')) ?? []
  const gateway = await withStep(t, source, { app: { optionalClaims: ['email', 'upn'] } })
  const query = await connect(t, gateway.databaseUrl)
  const rename = (upn: string): void => {
    const user = gateway.entra.directory.findUser(PERSON_IDS.staff)
    if (user) user.userPrincipalName = upn
  }
  rename('stan-old@contoso.example')
  const closed = (await gateway.signIn(PERSON_IDS.staff)).answer
  t.equal(closed.status, 403)
  t.match(closed.text, 'This account is closed')
  rename('e4711@contoso.example')
  t.equal((await gateway.signIn(PERSON_IDS.staff)).answer.status, 200)
  t.match(await query('select username from users'), [{ username: 'employee-4711' }])
})
