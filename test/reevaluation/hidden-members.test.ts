// Groups with hidden membership: a sign-in receives them, an application only with Member.Read.Hidden. The log names
// rights that a sign-in grants and the re-evaluation removes.
import t, { type Test } from 'tap'
import { PERSON_IDS, seedDemoDirectory } from '../../src/demo/people.js'
import { HOUR, scene, type Scene } from '../helpers/reevaluation.js'

const HIDDEN = 'e3000000-0000-4000-8000-000000000001'
const MAPPING = [{ entraGroup: HIDDEN, groups: ['Hidden'], staff: true }]
const PERMISSIONS = ['User.Read.All', 'GroupMember.Read.All']
/** Long enough to be due again, and still close to the sign-in. */
const SOON = 90_000

async function hiddenScene(t: Test, more: readonly string[] = []): Promise<Scene> {
  return await scene(t, {
    seed(directory) {
      seedDemoDirectory(directory)
      directory.addObject({
        id: HIDDEN,
        type: 'group',
        displayName: 'Hidden',
        securityEnabled: true,
        visibility: 'HiddenMembership',
      })
      directory.addMember(HIDDEN, PERSON_IDS.nobody)
    },
    groups: ['Hidden'],
    app: { applicationPermissions: [...PERMISSIONS, ...more] },
    config: { groupMapping: MAPPING, sync: { interval: '1m', privilegedStaleness: '30d' } },
  })
}

const lines = ({ gateway }: Scene) =>
  gateway.log.filter(({ msg }) => String(msg).includes('re-evaluation removed from'))

// proves: adv-hidden-named
t.test('the log names rights from a hidden group that the re-evaluation removes after a sign-in', async (t) => {
  const hidden = await hiddenScene(t)
  const { signIn, header, age, run } = hidden
  const browser = await signIn('nobody')
  t.equal(await header(browser, 'x-auth-request-staff'), 'true')
  await age(SOON)
  await run()
  t.equal(await header(browser, 'x-auth-request-staff'), 'false')
  t.equal(lines(hidden).length, 1)
  const [line = {}] = lines(hidden)
  t.match(line, { level: 'warn', entraGroups: [HIDDEN], groups: ['Hidden'], staff: true, superuser: false })
  t.match(line, {
    user: /^\S+@/,
    userId: /^[0-9a-f-]{36}$/,
    correlationId: /^[0-9a-f-]{36}$/,
    remedy: /Member\.Read\.Hidden/,
  })
  t.match(line.msg, `removed from ${String(line.user)} what a sign-in`)
  await age(SOON)
  await run()
  t.equal(lines(hidden).length, 1, 'once for each sign-in')
})

t.test('with Member.Read.Hidden nothing is removed', async (t) => {
  const allowed = await hiddenScene(t, ['Member.Read.Hidden'])
  const browser = await allowed.signIn('nobody')
  await allowed.age(SOON)
  await allowed.run()
  t.equal(await allowed.header(browser, 'x-auth-request-staff'), 'true')
  t.equal(lines(allowed).length, 0)
})

t.test('a change with another cause is not reported as a hidden membership', async (t) => {
  // proves: adv-hidden-same-mapping
  await t.test('a changed mapping', async (t) => {
    const changed = await hiddenScene(t)
    const browser = await changed.signIn('nobody')
    changed.gateway.reload({ groupMapping: [] })
    await changed.age(SOON)
    await changed.run()
    t.equal(await changed.header(browser, 'x-auth-request-staff'), 'false')
    t.equal(lines(changed).length, 0)
  })
  // proves: adv-hidden-recent
  await t.test('a sign-in hours ago', async (t) => {
    const old = await hiddenScene(t)
    const browser = await old.signIn('nobody')
    await old.age(2 * HOUR)
    await old.query("update sessions set created_at = created_at - interval '2 hours'")
    await old.run()
    t.equal(await old.header(browser, 'x-auth-request-staff'), 'false')
    t.equal(lines(old).length, 0)
  })
})
