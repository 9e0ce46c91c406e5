// Failures that signing in once more may mend: the person is sent again by itself, once; a second one of the kind
// stops.
import t from 'tap'
import type { Fault } from '../../src/demo/entra/faults.js'
import { PERSON_IDS } from '../../src/demo/people.js'
import { asClaims, claimsChallenge } from '../../src/entra/challenge.js'
import { signInAs } from '../../src/demo/entra/sign-in-as.js'
import { startTestGateway } from '../helpers/gateway.js'
import { attempt, refused, sample } from './helper.js'

const CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1795298900"}}}'
const cae = sample('graph-error-401-cae.json') as { status: number, headers: Record<string, string>, body: object }

t.test('sent again, once', async (t) => {
  const gateway = await startTestGateway(t)
  const cases: readonly [string, 'token' | 'graph', Fault, string, string | undefined][] = [
    [
      'MFA, as interaction_required',
      'token',
      { kind: 'aadsts', code: 50076, error: 'interaction_required', suberror: 'basic_action', claims: CLAIMS },
      'interaction_required',
      CLAIMS,
    ],
    ['MFA, as invalid_grant', 'token', { kind: 'aadsts', code: 50079 }, 'interaction_required', undefined],
    [
      'claims that are no JSON',
      'token',
      { kind: 'aadsts', code: 50076, claims: 'javascript:alert(1)' },
      'interaction_required',
      undefined,
    ],
    ['a grant that was revoked', 'token', { kind: 'aadsts', code: 50173 }, 'interaction_required', undefined],
    ['a code that expired', 'token', { kind: 'aadsts', code: 70008 }, 'code_expired', undefined],
    ['a claims challenge of Graph', 'graph', { kind: 'status', ...cae }, 'graph_claims_challenge', CLAIMS],
  ]
  for (const [name, on, then, code, claims] of cases) {
    await t.test(name, async (t) => {
      gateway.entra.faults.add({ on, then })
      const first = await attempt(gateway)
      refused(t, first, code as 'interaction_required')
      const again = new URL(first.again ?? '')
      t.equal(again.searchParams.get('claims') ?? undefined, claims)
      const back = await signInAs(again.href, PERSON_IDS.staff)
      const done = await first.browser.ask(back.location ?? '')
      t.equal(done.location, `${gateway.url}/after`, 'and then signed in, where they wanted to go')

      gateway.entra.faults.add({ on, times: 2, then })
      const loop = await attempt(gateway)
      const second = await signInAs(loop.again ?? '', PERSON_IDS.staff)
      const stopped = await loop.browser.ask(second.location ?? '')
      t.equal(stopped.status, 403 + (code === 'code_expired' ? -3 : 0), 'the second failure is a page')
      t.match(stopped.text, `data-field="code">${code}<`)
      t.match(stopped.text, 'data-field="microsoft"', "with Microsoft's own reference")
    })
  }

  await t.test('what signing in again cannot mend is a page at once', async (t) => {
    for (
      const [code, then] of [['conditional_access', 53003], ['consent_required', 65001], ['code_redeemed', 54005], [
        'entra_secret_wrong',
        7000215,
      ]] as const
    ) {
      gateway.entra.faults.add({ on: 'token', then: { kind: 'aadsts', code: then } })
      refused(t, await attempt(gateway), code)
    }
  })
})

t.test('a challenge is read as it is written', async (t) => {
  const two = sample('graph-error-401-cae-two-challenges.json') as typeof cae
  for (const { headers } of [cae, two]) t.equal(claimsChallenge(headers['WWW-Authenticate']), CLAIMS)
  const encoded = Buffer.from(CLAIMS).toString('base64')
  t.equal(
    claimsChallenge(`Bearer error="insufficient_claims", claims="${Buffer.from(CLAIMS).toString('base64url')}"`),
    CLAIMS,
  )
  const none = [
    undefined,
    '',
    'Bearer',
    'Bearer realm=""',
    `Bearer claims="${encoded}"`,
    `PoP error="insufficient_claims", claims="${encoded}"`,
    `Bearer error="invalid_token", claims="${encoded}"`,
    'Bearer error="insufficient_claims"',
    'Bearer error="insufficient_claims", claims="%%%"',
    `Bearer error="insufficient_claims", claims="${Buffer.from('[1]').toString('base64')}"`,
    `Bearer error_description="error=\\"insufficient_claims\\", claims=\\"${encoded}\\""`,
  ]
  for (const header of none) t.equal(claimsChallenge(header), undefined, String(header))
  t.equal(asClaims(`{"a":"${'x'.repeat(5_000)}"}`), undefined)
})
