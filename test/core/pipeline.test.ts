// The steps one by one, without a database: what each adds to the plan, and what none of them may do.
import t from 'tap'
import { GatehouseError } from '../../src/core/errors.js'
import type { IdentityClaims } from '../../src/core/identity.js'
import { createGroupMapping } from '../../src/core/mapping.js'
import { namedSteps, STEPS } from '../../src/core/pipeline/index.js'
import {
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
