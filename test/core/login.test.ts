// A login: what is committed and reported, when it is refused or given up, and its spans.
import t from 'tap'
import { GatehouseError } from '../../src/core/errors.js'
import type { IdentityClaims, Person } from '../../src/core/identity.js'
import { createLogin, type LoginCommit, type LoginOutcome, type LoginStore } from '../../src/core/login.js'
import { createGroupMapping } from '../../src/core/mapping.js'
import { namedSteps, STEPS } from '../../src/core/pipeline/index.js'
import type { NamedStep, PipelineSettings } from '../../src/core/pipeline/pipeline.js'
import { tracedSource, tracedSteps } from '../../src/core/traced-login.js'
import { noTracer, type Tracer } from '../../src/core/tracer.js'
import { LOOKUPS, SETTINGS } from '../helpers/pipeline.js'

const GROUP = '11111111-2222-3333-4444-55555555bbbb'
const CLAIMS: IdentityClaims = {
  tid: '11111111-2222-3333-4444-555555550000',
  oid: '11111111-2222-3333-4444-555555550001',
  sub: 'x',
  iat: 0,
}
const PERSON: Person = { claims: CLAIMS, memberships: { groupIds: [GROUP, 'other'], readAt: 'now', requests: 7 } }
const REQUEST = {
  grant: { code: 'c', codeVerifier: 'v', nonce: 'n', correlationId: 'the-correlation-id' },
  flow: Buffer.from('flow'),
  session: { id: 'id', publicId: 'ses_new', replaces: undefined, sibling: false },
  client: '192.0.2.10',
}
const OUTCOME: LoginOutcome = {
  userId: 'u',
  username: 'abe',
  created: true,
  groupsAdded: [],
  groupsRemoved: [],
  groups: [],
  staff: false,
  superuser: false,
  superseded: false,
  refused: false,
  session: 'ses_sibling',
  keepsId: false,
  sessionsEnded: 0,
}
const ROWS: PipelineSettings = {
  ...SETTINGS,
  mapping: createGroupMapping([
    { entraGroup: GROUP, label: 'Network team', groups: ['Nowhere', 'A'], staff: true, superuser: false },
  ]),
}

/** Runs one login with these results of the commits, the last one for all further ones. */
async function login(
  results: readonly (LoginOutcome | 'outdated')[],
  settings = ROWS,
  { person = PERSON, steps = namedSteps(Object.keys(STEPS)) }: { person?: Person, steps?: readonly NamedStep[] } = {},
) {
  let version = 1
  const calls: string[] = []
  const commits: LoginCommit[] = []
  const reports: unknown[] = []
  const store: LoginStore = {
    ...LOOKUPS,
    groupIds: async () => new Map([['A', 'id of A']]),
    begin: async (flow) => {
      calls.push(`begin ${flow.toString()}`)
    },
    now: async () => 'now',
    commit: async (commit) => {
      calls.push('commit')
      commits.push(commit)
      return results[commits.length - 1] ?? results.at(-1) ?? 'outdated'
    },
  }
  const work = createLogin({
    store,
    source: {
      identify: async (grant, now) => {
        calls.push(`identify ${grant.code} ${await now()}`)
        return person
      },
    },
    pipeline: () => ({ steps, settings, policyHash: `version ${version}` }),
    async catchUp() {
      version++
    },
    report: {
      groupMissing: (name, username) => reports.push({ missing: name, username }),
      completed: (outcome, facts) => reports.push({ outcome, facts }),
    },
  })
  const result = await work(REQUEST).catch((error: unknown) => error)
  return { result, calls, commits, reports }
}

const FACTS = {
  entraGroups: 2,
  graphRequests: 7,
  missing: ['Nowhere'],
  because: ['Network team'],
  correlationId: 'the-correlation-id',
  client: '192.0.2.10',
  sessionId: 'ses_sibling',
}

t.test('a login begins its flow, identifies the person and commits the whole plan once', async (t) => {
  const { result, calls, commits, reports } = await login([OUTCOME])
  t.equal(result, OUTCOME)
  t.strictSame(calls, ['begin flow', 'identify c now', 'commit'])
  const [{ plan, ...commit } = { plan: undefined }] = commits
  t.strictSame(commit, {
    person: PERSON,
    session: REQUEST.session,
    stepUp: undefined,
    flow: REQUEST.flow,
    correlationId: 'the-correlation-id',
    client: '192.0.2.10',
    requireMappedGroup: false,
    policyHash: 'version 1',
  })
  t.match(plan, { uid: { tid: CLAIMS.tid, oid: CLAIMS.oid }, origin: 'created', grants: { missing: ['Nowhere'] } })
  t.strictSame(reports, [{ missing: 'Nowhere', username: 'abe' }, { outcome: OUTCOME, facts: FACTS }])
})

// proves: admin-acrs-no-step
t.test('no step sees an authentication context', async (t) => {
  const seen: unknown[] = []
  const look: NamedStep = {
    name: 'look',
    run: ({ claims }) => {
      seen.push(claims)
      return {}
    },
  }
  const person = { ...PERSON, claims: { ...CLAIMS, acrs: ['c1'] } }
  await login([OUTCOME], ROWS, { person, steps: [...namedSteps(Object.keys(STEPS)), look] })
  t.strictSame(seen, [CLAIMS])
})

t.test('a login is reported with its session, and without groups if a newer snapshot stays in force', async (t) => {
  const reported = async (more: Partial<LoginOutcome>) => (await login([{ ...OUTCOME, ...more }])).reports.at(-1)
  t.match(await reported({ session: null }), { facts: { ...FACTS, sessionId: 'ses_new' } })
  const superseded = await reported({ superseded: true })
  t.strictSame(superseded, { outcome: { ...OUTCOME, superseded: true }, facts: { ...FACTS, because: [] } })
})

t.test('a login without a mapped group is reported and then refused', async (t) => {
  const refused = { ...OUTCOME, refused: true, session: null }
  const { result, commits, reports } = await login([refused], { ...ROWS, requireMappedGroup: true })
  t.match(result, { code: 'not_mapped', facts: { username: 'abe' }, message: /abe/, remedy: /gatehouse explain abe/ })
  t.strictSame(commits.map(({ requireMappedGroup }) => requireMappedGroup), [true])
  t.strictSame(reports.at(-1), { outcome: refused, facts: { ...FACTS, sessionId: 'ses_new' } })
})

t.test('a login is committed at most eight times', async (t) => {
  const seven = Array.from({ length: 7 }, () => 'outdated' as const)
  const late = await login([...seven, OUTCOME])
  t.strictSame({ result: late.result, commits: late.commits.length }, { result: OUTCOME, commits: 8 })
  const { result, commits, reports } = await login([...seven, 'outdated', OUTCOME])
  t.match(result, { code: 'login_contended', message: /\b8\b/ })
  t.strictSame({ commits: commits.length, reports }, { commits: 8, reports: [] })
})

// proves: policy-plan-caught-up
t.test('where the plan is outdated, the policy in force is read before the steps run again', async (t) => {
  const { commits } = await login(['outdated', OUTCOME])
  t.strictSame(commits.map(({ policyHash }) => policyHash), ['version 1', 'version 2'])
})

t.test('with tracing the source and each step have a span, and the same results', async (t) => {
  const spans: { name: string, attributes: unknown, set: unknown[] }[] = []
  const tracer: Tracer = {
    enabled: true,
    request: () => undefined,
    part: async (name, attributes, work) => {
      const set: unknown[] = []
      spans.push({ name, attributes, set })
      return work({ set: (more) => set.push(more), failed: () => {} })
    },
  }
  const grants: unknown[] = []
  const source = {
    identify: async (grant: unknown, now: () => Promise<string>) => {
      grants.push(grant, await now())
      return PERSON
    },
  }
  t.equal(await tracedSource(source, tracer).identify(REQUEST.grant, async () => 'now'), PERSON)
  t.strictSame(grants, [REQUEST.grant, 'now'])
  const context = { claims: CLAIMS, groupIds: [], plan: {}, settings: SETTINGS, lookups: LOOKUPS }
  const contexts: unknown[] = []
  const steps = [
    {
      name: 'one',
      run: (given: unknown) => {
        contexts.push(given)
        return { username: 'abe' }
      },
    },
    {
      name: 'two',
      run: () => {
        throw new GatehouseError('not_allowed')
      },
    },
  ]
  const [one, two] = tracedSteps(steps, tracer)
  t.strictSame(await one?.run(context), { username: 'abe' })
  t.strictSame(contexts, [context])
  await t.rejects(async () => two?.run(context), { code: 'not_allowed' })
  t.strictSame([one?.name, two?.name], ['one', 'two'])
  t.strictSame(spans, [
    { name: 'identify', attributes: {}, set: [{ 'gatehouse.entra_groups': 2, 'gatehouse.graph_requests': 7 }] },
    { name: 'step one', attributes: {}, set: [] },
    { name: 'step two', attributes: {}, set: [] },
  ])
  t.equal(tracedSource(source, noTracer()), source, 'without tracing the source is the same object')
  t.equal(tracedSteps(steps, noTracer()), steps, 'without tracing the steps are the same list')
})
