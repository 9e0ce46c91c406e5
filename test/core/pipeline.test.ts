// The steps one by one, without a database: what each adds to the plan, and what none of them may do.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { GatehouseError } from '../../src/core/errors.js'
import type { IdentityClaims } from '../../src/core/identity.js'
import { createGroupMapping } from '../../src/core/mapping.js'
import { DISPENSABLE, namedSteps, OPTIONAL_STEPS, ORDER, STEPS } from '../../src/core/pipeline/index.js'
import {
  causesOf,
  runPipeline,
  type LoginPlan,
  type PipelineLookups,
  type PipelineSettings,
  type StepContext,
} from '../../src/core/pipeline/pipeline.js'
import type { StoredUser } from '../../src/core/user.js'

const OID = '11111111-2222-3333-4444-55555555aaaa'
const GROUP = '11111111-2222-3333-4444-55555555bbbb'
const CLAIMS: IdentityClaims = {
  tid: OID,
  oid: OID,
  sub: 's',
  iat: 1,
  name: 'Abe Lincoln',
  upn: 'abe@contoso.example',
  email: 'abe@contoso.example',
  xms_edov: true,
  given_name: 'Abe',
  family_name: 'Lincoln',
  sid: 'entra-sid',
  login_hint: 'hint',
  acct: 0,
}
const USER: StoredUser = {
  id: 'u1',
  username: 'old-name',
  email: 'old@contoso.example',
  isActive: true,
  isStaff: false,
  isSuperuser: false,
  isBreakGlass: false,
}
const SETTINGS: PipelineSettings = {
  username: 'upn',
  usernameUnverified: false,
  reservedUsernames: [],
  associateByEmail: false,
  authAllowed: { emailDomains: [], guests: true },
  defaultGroups: ['Everybody'],
  requireMappedGroup: false,
  mapping: createGroupMapping([{ entraGroup: GROUP, groups: ['Engineers', 'Nowhere'], staff: true, superuser: false }]),
}
const lookups = (over: Partial<PipelineLookups> = {}): PipelineLookups => ({
  userByIdentity: async () => undefined,
  usernameTaken: async () => false,
  usersEligibleForEmail: async () => [],
  groupIds: async (names) => new Map(names.filter((name) => name !== 'Nowhere').map((name) => [name, `id of ${name}`])),
  ...over,
})
const run = (
  over: {
    claims?: Partial<IdentityClaims>
    settings?: Partial<PipelineSettings>
    lookups?: Partial<PipelineLookups>
    groupIds?: string[]
  } = {},
) =>
  runPipeline(namedSteps(Object.keys(STEPS)), {
    claims: { ...CLAIMS, ...over.claims },
    groupIds: over.groupIds ?? [GROUP],
    settings: { ...SETTINGS, ...over.settings },
    lookups: lookups(over.lookups),
  })
const step = async (name: keyof typeof STEPS, plan: LoginPlan, over: Partial<StepContext> = {}) =>
  await STEPS[name]({ claims: CLAIMS, groupIds: [], settings: SETTINGS, lookups: lookups(), plan, ...over })

t.test("social_details takes the id token's view, and the username's source as configured", async (t) => {
  t.match((await run()).details, {
    email: 'abe@contoso.example',
    emailVerified: true,
    name: 'Abe Lincoln',
    givenName: 'Abe',
    familyName: 'Lincoln',
    usernameSource: 'abe@contoso.example',
  })
  const byName = { username: 'name', usernameUnverified: true } as const
  t.match((await run({ settings: byName })).details, { usernameSource: 'Abe Lincoln' })
  const { upn: _upn, email: _email, name: _name, ...bare } = CLAIMS
  t.match(await step('social_details', {}, { claims: bare }), {
    details: { email: null, emailVerified: false, usernameSource: OID },
  })
})

t.test('social_uid is tenant and object id in lower case; without either the login is refused', async (t) => {
  t.match((await run({ claims: { oid: OID.toUpperCase() } })).uid, { tid: OID, oid: OID })
  for (const missing of ['tid', 'oid'] as const) {
    await t.rejects(run({ claims: { [missing]: '' } }), { code: 'id_token_claims' }, missing)
  }
})

t.test('social_user finds the user by uid alone and refuses a deactivated one before any further step', async (t) => {
  const asked: string[] = []
  const known = await run({
    lookups: {
      userByIdentity: async (...ids) => {
        asked.push(...ids)
        return USER
      },
    },
  })
  t.strictSame(asked, [OID, OID])
  t.match(known, { user: USER, origin: 'known', newAssociation: false })
  t.notOk('username' in known, 'who has a name keeps it')
  const never = async (): Promise<never> => {
    throw new Error('was asked')
  }
  await t.rejects(
    run({
      lookups: {
        userByIdentity: async () => ({ ...USER, isActive: false }),
        usernameTaken: never,
        usersEligibleForEmail: never,
        groupIds: never,
      },
    }),
    { code: 'user_inactive' },
  )
})

// proves: adv-username-kept
t.test('a user who is there keeps the username, also one with a suffix of an older kind', async (t) => {
  const user = { ...USER, username: 'sinead.obrien@contoso.example571bc420b0889a61' }
  const usernameTaken = async (): Promise<never> => {
    throw new Error('was asked')
  }
  const plan = await run({ lookups: { userByIdentity: async () => user, usernameTaken } })
  t.match(plan, { user, origin: 'known' })
  t.notOk('username' in plan, 'no other one is made')
})

t.test('get_username gives up after a bounded number of tries', async (t) => {
  let tries = 0
  await t.rejects(
    run({
      lookups: {
        usernameTaken: async () => {
          tries++
          return true
        },
      },
    }),
    { code: 'username_unavailable' },
  )
  t.equal(tries, 5)
})

t.test('associate_by_email runs only if armed, with a verified address and for a new user', async (t) => {
  const never = async (): Promise<never> => {
    throw new Error('was asked')
  }
  t.match(await run({ lookups: { usersEligibleForEmail: never } }), { origin: 'created' })
  const armed = { associateByEmail: true }
  t.match(await run({ settings: armed, claims: { xms_edov: false }, lookups: { usersEligibleForEmail: never } }), {
    origin: 'created',
  })
  t.match(await run({ settings: armed, lookups: { userByIdentity: async () => USER, usersEligibleForEmail: never } }), {
    origin: 'known',
  })
  t.match(await run({ settings: armed, lookups: { usersEligibleForEmail: async () => [USER] } }), {
    origin: 'linked',
    user: USER,
    newAssociation: true,
  })
  await t.rejects(run({ settings: armed, lookups: { usersEligibleForEmail: async () => [USER, USER] } }), {
    code: 'email_ambiguous',
  })
})

t.test('user_default_groups_handler adds to the plan what azuread_map_groups then replaces', async (t) => {
  const plan = await run({ groupIds: [] })
  t.strictSame(plan.defaultGroups, ['Everybody'])
  t.strictSame(plan.grants, { groups: [], missing: [], staff: [], superuser: [] })
})

t.test('load_extra_data keeps what signing out needs, and no token even where the claims had one', async (t) => {
  const { extraData } = await run({
    claims: { access_token: 'eyJ', id_token: 'eyJ', refresh_token: 'x' } as Partial<IdentityClaims>,
  })
  t.strictSame(extraData, { sid: 'entra-sid', loginHint: 'hint', guest: false, upn: 'abe@contoso.example' })
})

t.test('user_details writes names and never the e-mail, the username or a flag', async (t) => {
  t.strictSame((await run({ lookups: { userByIdentity: async () => USER } })).profile, {
    name: 'Abe Lincoln',
    givenName: 'Abe',
    familyName: 'Lincoln',
  })
})

t.test('azuread_map_groups matches ids without case, keeps causes, reports missing groups, creates none', async (t) => {
  const { grants } = await run({ groupIds: [GROUP.toUpperCase()] })
  const cause = [{ row: 1, entraGroup: GROUP }]
  t.strictSame(grants, {
    groups: [{ id: 'id of Engineers', name: 'Engineers', causes: cause }],
    missing: ['Nowhere'],
    staff: cause,
    superuser: [],
  })
})

t.test('a step that throws anything else fails the login and is named; steps that leave a hole do too', async (t) => {
  const broken = {
    name: 'mine',
    run: () => {
      throw new TypeError('oops')
    },
  }
  const context = { claims: CLAIMS, groupIds: [], settings: SETTINGS, lookups: lookups() }
  await t.rejects(runPipeline([...namedSteps(Object.keys(STEPS)), broken], context), {
    code: 'step_failed',
    facts: { step: 'mine' },
  })
  await t.rejects(
    runPipeline(namedSteps(Object.keys(STEPS).filter((name) => name !== 'azuread_map_groups')), context),
    { code: 'step_failed' },
  )
  const own = new GatehouseError('not_allowed')
  t.equal(
    await runPipeline([{
      name: 'mine',
      run: () => {
        throw own
      },
    }], context).catch((error: unknown) => error),
    own,
  )
})

t.test('the steps have the documented default order, in which each is after the steps that it needs', async (t) => {
  const order = [
    'social_details',
    'social_uid',
    'social_user',
    'get_username',
    'associate_by_email',
    'create_user',
    'associate_user',
    'user_default_groups_handler',
    'load_extra_data',
    'user_details',
    'azuread_map_groups',
  ]
  t.strictSame(Object.keys(STEPS), order)
  t.match(readFileSync('docs/configuration.md', 'utf8'), JSON.stringify(order), 'docs/configuration.md')
  t.strictSame(Object.keys(OPTIONAL_STEPS), ['auth_allowed'])
  t.strictSame(ORDER, {
    social_user: ['social_uid'],
    get_username: ['social_details', 'social_user'],
    associate_by_email: ['social_details', 'social_user'],
    create_user: ['get_username', 'associate_by_email'],
    associate_user: ['create_user'],
    user_details: ['social_details'],
    auth_allowed: ['social_details'],
  })
  t.strictSame(DISPENSABLE, ['associate_by_email', 'user_default_groups_handler', 'auth_allowed'])
})

t.test('steps are found by their names, custom ones too; an unknown name is an internal error', async (t) => {
  const own = { name: './mine.js', run: () => ({}) }
  t.strictSame(namedSteps(['auth_allowed', './mine.js', 'social_uid'], [own]).map(({ name, run }) => ({ name, run })), [
    { name: 'auth_allowed', run: OPTIONAL_STEPS.auth_allowed },
    own,
    { name: 'social_uid', run: STEPS.social_uid },
  ])
  t.strictSame(namedSteps([]), [])
  for (const name of ['./mine.js', 'social', '', 'constructor']) {
    t.throws(() => namedSteps(['social_uid', name]), { code: 'internal' }, name)
  }
})

t.test('a plan is complete with six properties and a user or a username; without one the login fails', async (t) => {
  const complete = await run({ lookups: { userByIdentity: async () => USER } })
  const { uid, details, origin, profile, extraData, grants } = complete
  const needed = { uid, details, origin, profile, extraData, grants }
  const context = { claims: CLAIMS, groupIds: [], settings: SETTINGS, lookups: lookups() }
  const ended = async (plan: LoginPlan) => runPipeline([{ name: 'all', run: () => plan }], context)
  t.strictSame(await ended({ ...needed, user: USER }), { ...needed, user: USER })
  t.strictSame(await ended({ ...needed, username: 'abe' }), { ...needed, username: 'abe' })
  const failure = async (plan: LoginPlan, title: string) => {
    const error = await ended(plan).catch((thrown: unknown) => thrown)
    t.match(error, { code: 'step_failed', message: /plan/, facts: { has: Object.keys(plan) } }, title)
  }
  await failure({}, 'an empty plan')
  await failure(needed, 'neither user nor username')
  for (const name of Object.keys(needed) as (keyof typeof needed)[]) {
    const { [name]: _without, ...others } = { ...needed, user: USER, username: 'abe' }
    await failure(others, `without ${name}`)
  }
})

t.test('an error that a step throws is kept as the cause, with the name of the step', async (t) => {
  const thrown = new TypeError('oops')
  const context = { claims: CLAIMS, groupIds: [], settings: SETTINGS, lookups: lookups() }
  const broken = {
    name: 'mine',
    run: async () => {
      throw thrown
    },
  }
  const error = await runPipeline([broken], context).catch((caught: unknown) => caught)
  t.match(error, { code: 'step_failed', message: /mine/, facts: { step: 'mine' } })
  t.equal((error as Error).cause, thrown)
})

t.test('the causes of grants are those of the groups, then those of the flags', async (t) => {
  const cause = (row: number) => ({ row, entraGroup: GROUP })
  const group = (name: string, ...rows: number[]) => ({ id: `id of ${name}`, name, causes: rows.map(cause) })
  const none = { groups: [], missing: [], staff: [], superuser: [] }
  t.strictSame(causesOf(none), [])
  const grants = { groups: [group('A', 1, 2), group('B', 3)], missing: ['C'], staff: [cause(4)], superuser: [cause(5)] }
  t.strictSame(causesOf(grants).map(({ row }) => row), [1, 2, 3, 4, 5])
  t.strictSame(causesOf({ ...none, superuser: [cause(6)] }), [cause(6)])
})

t.test('an address is verified if there is one and xms_edov is true, "1" or 1', async (t) => {
  const verified = async (claims: Record<string, unknown>) => {
    const { details }: LoginPlan = await step('social_details', {}, {
      claims: { ...CLAIMS, ...claims } as IdentityClaims,
    })
    return details?.emailVerified
  }
  for (const value of [true, '1', 1]) {
    const title = JSON.stringify(value)
    t.equal(await verified({ xms_edov: value }), true, title)
    t.equal(await verified({ xms_edov: value, email: undefined }), false, `${title} without an address`)
  }
  for (const value of [undefined, null, false, '', '0', 0, 'true', 'True', ' 1', '01', 2, -1, [1], { value: 1 }]) {
    t.equal(await verified({ xms_edov: value }), false, JSON.stringify(value) ?? 'undefined')
  }
})

t.test('acct makes a guest or a member, and decides whether preferred_username is the principal name', async (t) => {
  const { sid: _sid, login_hint: _hint, upn: _upn, acct: _acct, ...others } = CLAIMS
  const extra = async (claims: Partial<IdentityClaims>) => {
    const { extraData }: LoginPlan = await step('load_extra_data', {}, { claims: { ...others, ...claims } })
    return extraData
  }
  const name = 'abe@home.example'
  const none = { sid: null, loginHint: null }
  t.strictSame(await extra({}), { ...none, guest: null, upn: null }, 'no claim')
  t.strictSame(await extra({ acct: 0 }), { ...none, guest: false, upn: null })
  t.strictSame(await extra({ acct: 1 }), { ...none, guest: true, upn: null })
  t.strictSame(await extra({ preferred_username: name }), { ...none, guest: null, upn: name })
  t.strictSame(await extra({ preferred_username: name, acct: 0 }), { ...none, guest: false, upn: name })
  t.strictSame(await extra({ preferred_username: name, acct: 1 }), { ...none, guest: true, upn: null })
  t.strictSame(await extra({ upn: 'u', preferred_username: name, acct: 1 }), { ...none, guest: true, upn: 'u' })
  t.strictSame(await extra({ upn: '', preferred_username: name, acct: 0 }), { ...none, guest: false, upn: name })
  t.strictSame(await extra({ upn: '', preferred_username: '' }), { ...none, guest: null, upn: null })
  t.strictSame(await extra({ sid: 's', login_hint: 'h' }), { sid: 's', loginHint: 'h', guest: null, upn: null })
})

t.test('a step without the results that it builds on adds nothing, or makes do with the IDs', async (t) => {
  const never = async (): Promise<never> => {
    throw new Error('was called')
  }
  t.strictSame(await step('social_user', {}, { lookups: lookups({ userByIdentity: never }) }), {})
  t.strictSame(await step('user_details', {}), {})
  const armed = { ...SETTINGS, associateByEmail: true }
  const usersEligibleForEmail = never
  t.strictSame(
    await step('associate_by_email', {}, { settings: armed, lookups: lookups({ usersEligibleForEmail }) }),
    {},
  )
  t.match(await step('get_username', {}), { username: /^[0-9a-f]+$/ })
})

t.test('every refusal of a step has a detail and a remedy for the log', async (t) => {
  const refusals = {
    id_token_claims: run({ claims: { oid: '' } }),
    user_inactive: run({ lookups: { userByIdentity: async () => ({ ...USER, isActive: false }) } }),
    email_ambiguous: run({
      settings: { associateByEmail: true },
      lookups: { usersEligibleForEmail: async () => [USER, USER] },
    }),
    username_unavailable: run({ lookups: { usernameTaken: async () => true } }),
  }
  for (const [code, refusal] of Object.entries(refusals)) {
    const error = await refusal.catch((thrown: unknown) => thrown)
    t.match(error, { code, message: /\S/, remedy: /\S/ }, code)
    if (error instanceof GatehouseError) t.not(error.message, error.sentence, `${code}: a detail of its own`)
  }
  const inactive = await refusals.user_inactive.catch((thrown: unknown) => thrown)
  t.match(inactive, { facts: { username: 'old-name' }, message: /old-name/, remedy: /users activate old-name/ })
})
