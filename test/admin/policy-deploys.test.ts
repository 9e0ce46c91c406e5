// Deploys of the policy, without a database: who remains a superuser, and when the replicas have answered.
import t from 'tap'
import { createPolicyDeploysAdmin, type PolicyDeployPorts } from '../../src/admin/policy-deploys.js'
import type { Acting } from '../../src/core/acts.js'
import { GatehouseError } from '../../src/core/errors.js'
import type { NewDeployment, TrialStanding } from '../../src/core/policy-version.js'

const [ADMINS, OTHERS] = ['a0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002']
const NO_STANDING: TrialStanding = { silent: [], accepted: [], refused: [] }

function acting(userId: string): Acting {
  const admin = { userId, sessionId: 'ses_1', adminSessionId: 'adm_1', address: '192.0.2.1' }
  return { actor: `admin:${userId}`, admin }
}

/** The mapping makes superusers of the Entra group `ADMINS`. */
function scene(ports: Partial<PolicyDeployPorts> & { standings?: readonly TrialStanding[] } = {}) {
  const deployed: NewDeployment[] = []
  const ended: string[] = []
  const standings = [...ports.standings ?? []]
  const admin = createPolicyDeploysAdmin({
    source: 'database',
    deployments: {
      inForce: async () => undefined,
      beginTrial: async () => 'tri_1',
      standing: async () => standings.shift() ?? NO_STANDING,
      async endTrial(trial) {
        ended.push(trial)
      },
      async deploy(version) {
        deployed.push(version)
        return 1
      },
    },
    versions: { list: async () => ({ rows: [], next: undefined }), get: async () => undefined, newest: async () => 1 },
    judge: async (text) => ({
      text,
      hash: 'h',
      findings: [],
      groupMapping: [{ entraGroup: ADMINS, groups: [], staff: false, superuser: true, label: undefined }],
    }),
    superusers: { active: async () => [], anyIn: async () => false },
    counts: async () => ({ gains: 0, losses: 0 }),
    release: '0',
    ...ports,
  })
  return { admin, deployed, ended }
}

// proves: policy-own-superuser
t.test('whoever would lose their own superuser flag by a deploy has to confirm it', async (t) => {
  const superusers = {
    active: async () => [{ userId: 'sue', entraGroupIds: [OTHERS] }, { userId: 'max', entraGroupIds: [ADMINS] }],
    anyIn: async () => false,
  }
  const { admin, deployed } = scene({ superusers })
  await t.rejects(admin.deploy('', { message: 'x' }, acting('sue')), { code: 'policy_no_superuser' })
  t.strictSame(deployed, [])
  await admin.deploy('', { message: 'x' }, acting('max'))
  await admin.deploy('', { message: 'x' }, acting('pat'))
  await admin.deploy('', { message: 'x', confirm: 'no superuser' }, acting('sue'))
  t.equal(deployed.length, 3)
})

t.test('superusers without an identity at Entra ID remain, and one who becomes it is enough', async (t) => {
  const lost = { userId: 'sue', entraGroupIds: [OTHERS] }
  const byHand = { userId: 'root', entraGroupIds: undefined }
  const outcome = async (active: readonly (typeof lost | typeof byHand)[], gains: boolean) => {
    const { admin } = scene({ superusers: { active: async () => active, anyIn: async () => gains } })
    return await admin.deploy('', { message: 'x' }, { actor: 'cli:root', admin: undefined })
      .then(() => 'deployed', (error: unknown) => error instanceof GatehouseError && error.code)
  }
  t.equal(await outcome([lost], false), 'policy_no_superuser')
  t.equal(await outcome([lost, byHand], false), 'deployed')
  t.equal(await outcome([lost], true), 'deployed')
  t.equal(await outcome([], false), 'deployed', 'there is none now')
})

t.test('it waits until every replica has answered, and the trial ends whatever happens', async (t) => {
  const standings = [
    { ...NO_STANDING, silent: ['a:1', 'b:1'] },
    { ...NO_STANDING, silent: ['b:1'], accepted: ['a:1'] },
    { ...NO_STANDING, accepted: ['a:1', 'b:1'] },
  ]
  const { admin, ended } = scene({ standings })
  const { replicas } = await admin.deploy('', { message: 'x' }, acting('pat'))
  t.strictSame(replicas, ['a:1', 'b:1'])
  t.strictSame(ended, ['tri_1'])

  const refusing = scene()
  const failing = scene({
    deployments: {
      ...{ inForce: async () => undefined, beginTrial: async () => 'tri_2', standing: async () => NO_STANDING },
      async endTrial(trial) {
        refusing.ended.push(trial)
      },
      deploy: async () => {
        throw new GatehouseError('policy_replica_refused')
      },
    },
  })
  await t.rejects(failing.admin.deploy('', { message: 'x' }, acting('pat')), { code: 'policy_replica_refused' })
  t.strictSame(refusing.ended, ['tri_2'])
})

// proves: policy-deploy-source
t.test('where the file has the policy, nothing is deployed', async (t) => {
  const { admin, deployed } = scene({ source: 'file' })
  await t.rejects(admin.deploy('', { message: 'x' }, acting('pat')), { code: 'policy_source_file' })
  t.strictSame(deployed, [])
})
