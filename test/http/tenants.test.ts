// People of several tenants behind one gateway: those that are listed, each under their own tenant, and nobody else.
import t from 'tap'
import { DEMO_TENANT_ID, PERSON_IDS } from '../../src/demo/people.js'
import { errorCode } from '../helpers/assertions.js'
import { startTestGateway } from '../helpers/gateway.js'
import { connect, dump } from '../helpers/sql.js'

const OTHER = '5a5a5a5a-0000-4000-8000-000000000001'
const STRANGE = '5a5a5a5a-0000-4000-8000-000000000002'

for (const tenantId of ['organizations', 'common']) {
  t.test(`several tenants, by ${tenantId}`, async (t) => {
    const gateway = await startTestGateway(t, {
      config: { entra: { tenantId, allowedTenants: [DEMO_TENANT_ID, OTHER.toUpperCase()] } },
      app: { signInAudience: 'AzureADMultipleOrgs' },
    })
    const query = await connect(t, gateway.databaseUrl)
    const { users } = gateway.entra.directory
    users.get(PERSON_IDS.guest)!.homeTenantId = OTHER
    users.get(PERSON_IDS.nobody)!.homeTenantId = STRANGE

    await t.test('whose tenant is listed signs in', async (t) => {
      for (const person of [PERSON_IDS.staff, PERSON_IDS.guest]) {
        t.equal((await gateway.signIn(person)).answer.status, 200)
      }
      t.same(
        await query('select tid, oid from identities order by tid desc'),
        [{ tid: OTHER, oid: PERSON_IDS.guest }, { tid: DEMO_TENANT_ID, oid: PERSON_IDS.staff }].sort((a, b) =>
          a.tid < b.tid ? 1 : -1
        ),
      )
    })

    // proves: token-issuer-of-tenant
    await t.test('other tenants are refused and nothing is stored', async (t) => {
      const before = await dump(query)
      const { answer } = await gateway.signIn(PERSON_IDS.nobody)
      t.equal(answer.status, 403)
      t.equal(errorCode(answer), 'id_token_issuer')
      gateway.entra.faults.add({
        on: 'token',
        then: {
          kind: 'mutateClaims',
          change: (claims) => {
            claims.iss = `${gateway.entra.url}/${OTHER}/v2.0`
          },
        },
      })
      t.equal(
        errorCode((await gateway.signIn(PERSON_IDS.staff)).answer),
        'id_token_issuer',
        "the issuer of a listed tenant with another tenant's tid",
      )
      gateway.entra.faults.add({
        on: 'token',
        then: {
          kind: 'mutateClaims',
          change: (claims) => {
            claims.tid = STRANGE
          },
        },
      })
      t.equal(errorCode((await gateway.signIn(PERSON_IDS.staff)).answer), 'id_token_tenant')
      t.equal(await dump(query), before)
    })

    await t.test('the same object id and e-mail in another tenant are another person', async (t) => {
      gateway.entra.faults.add({
        on: 'token',
        then: {
          kind: 'mutateClaims',
          change: (claims) => {
            claims.tid = OTHER
            claims.iss = `${gateway.entra.url}/${OTHER}/v2.0`
          },
        },
      })
      await gateway.signIn(PERSON_IDS.staff)
      t.same(
        await query('select count(distinct user_id)::int as people from identities where oid = $1', [PERSON_IDS.staff]),
        [{ people: 2 }],
      )
    })
  })
}

t.test('a registration of one tenant cannot be used by several', async (t) => {
  const gateway = await startTestGateway(t, {
    config: { entra: { tenantId: 'organizations', allowedTenants: [DEMO_TENANT_ID] } },
  })
  const { answer } = await gateway.signIn(PERSON_IDS.staff)
  t.match(answer.text, /AADSTS50194/, 'Entra ID says so on its own page')
})
