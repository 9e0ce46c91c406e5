// Whether the person cancelled, or Entra ID refused, and why: what the page and the log say of each AADSTS code.
import t from 'tap'
import fc from 'fast-check'
import { RETRY_WITH_NEW_SIGN_IN, type ErrorCode } from '../../src/core/errors.js'
import { aadstsBody } from '../../src/demo/entra/aadsts.js'
import { entraError } from '../../src/entra/aadsts.js'
import { aadstsMeanings } from '../../src/entra/aadsts-meanings.js'
import { startTestGateway } from '../helpers/gateway.js'
import { attempt, refused } from './helper.js'

const CORRELATION = '22b3bb26-e046-42df-9c96-65dbd72c1c81'
const described = (code: number) => aadstsBody({ code, now: Date.now(), correlationId: CORRELATION }).error_description
const denied = (code: number) => ({ error: 'access_denied', error_description: described(code) })

/** What each is at the callback and at the token endpoint, and what its remedy names. */
const REFUSALS: readonly (readonly [number, ErrorCode, RegExp])[] = [
  [53000, 'conditional_access', /comply/],
  [53001, 'conditional_access', /joined/],
  [53002, 'conditional_access', /approved application/],
  [53003, 'conditional_access', /Conditional Access policy/],
  [53004, 'conditional_access', /multi-factor.*risk/],
  [53011, 'conditional_access', /risk/],
  [50131, 'conditional_access', /sign-in log/],
  [530035, 'conditional_access', /Security defaults/],
  [50155, 'device_refused', /dsregcmd/],
  [9002325, 'entra_redirect_mismatch', /platform Web/],
  [9002326, 'entra_redirect_mismatch', /platform Web/],
  [9002327, 'entra_redirect_mismatch', /platform Web/],
  [65001, 'consent_required', /adminconsent/],
  [90008, 'consent_required', /adminconsent/],
  [90094, 'consent_required', /adminconsent/],
  [50128, 'entra_tenant_unknown', /entra\.tenantId/],
  [500011, 'entra_permission_missing', /entra\.cloud/],
  [650052, 'entra_permission_missing', /subscribe/],
  [90009, 'entra_request_refused', /API permissions/],
  [500212, 'sign_in_refused', /Cross-tenant/],
]

// proves: adv-refused-unknown
t.test('a refusal is distinguished from a cancellation', async (t) => {
  const code = (answer: Record<string, string>) => entraError(answer, 'authorize').code
  t.equal(code({ error: 'access_denied' }), 'login_cancelled', 'nothing but the error')
  t.equal(code({ error: 'access_denied', error_description: 'the user cancelled' }), 'login_cancelled')
  t.equal(code({ error: 'access_denied', error_subcode: 'cancel' }), 'login_cancelled')
  t.equal(code({ ...denied(50058), error_subcode: 'cancel' }), 'login_cancelled')
  t.equal(code(denied(65004)), 'consent_declined')
  t.equal(code({ error_subcode: 'other', ...denied(53003) }), 'conditional_access')
  for (const [number, expected] of REFUSALS) t.equal(code(denied(number)), expected, `AADSTS${number}`)
  const link = 'https://login.microsoftonline.com/error?code=53004'
  t.equal(code({ error: 'access_denied', error_uri: link }), 'conditional_access', 'a code that only the link has')

  fc.assert(fc.property(fc.integer({ min: 10_000, max: 99_999_999 }), (number) => {
    const error = entraError(denied(number), 'authorize')
    return error.code !== 'login_cancelled' && error.message.includes(`AADSTS${number}`) &&
      error.facts.aadsts === number
  }))
  const unknown = entraError(denied(99_999), 'authorize')
  t.equal(unknown.code, 'sign_in_refused')
  t.match(unknown.remedy, 'https://login.microsoftonline.com/error?code=99999')
})

// proves: adv-refused-remedy
t.test('a code that is not in the table does not end in "nothing to do"', async (t) => {
  const errors = [
    'access_denied',
    'interaction_required',
    'login_required',
    'invalid_grant',
    'invalid_client',
    '__proto__',
  ]
  for (const error of errors) {
    const { remedy } = entraError({ error, error_codes: [99_999] }, 'token', 400)
    t.match(remedy, 'error?code=99999', error)
  }
})

t.test('every code of the table has a remedy of its own kind', async (t) => {
  for (const { number, code, remedy } of aadstsMeanings()) {
    const { code: found, remedy: said, facts } = entraError(denied(number), 'authorize')
    t.strictSame({ code: found, remedy: said }, { code, remedy }, `AADSTS${number}`)
    t.match(facts, { aadsts: number, entraCorrelationId: CORRELATION, entraTraceId: /^[0-9a-f-]{36}$/ })
    t.not(code, 'login_cancelled')
    if (RETRY_WITH_NEW_SIGN_IN.has(code)) t.match(remedy, /signs in again|multi-factor|check/, `AADSTS${number}`)
    else t.notMatch(remedy, /Nothing to do/, `AADSTS${number}`)
  }
})

t.test('over HTTP', async (t) => {
  const gateway = await startTestGateway(t)

  // proves: adv-refused-not-cancelled
  await t.test('a refusal at the callback is a page of its own, and the log has the code', async (t) => {
    for (const [number, code, remedy] of REFUSALS) {
      const outcome = await attempt(gateway, { callback: ({ state }) => ({ ...denied(number), state }) })
      refused(t, outcome, code, { token: 0, graph: 0 })
      t.match(outcome.log, { aadsts: number, remedy, entraCorrelationId: CORRELATION }, `AADSTS${number}`)
      t.match(outcome.page, CORRELATION, 'the person can name the sign-in')
      t.notOk(outcome.page.includes('cancelled'))
    }
  })
  // proves: adv-conditional-access, adv-platform-web
  await t.test('a refusal at the token endpoint is the same', async (t) => {
    for (const [code, expected, remedy] of REFUSALS) {
      gateway.entra.faults.add({ on: 'token', then: { kind: 'aadsts', code } })
      const outcome = await attempt(gateway)
      refused(t, outcome, expected, { token: 1, graph: 0 })
      t.match(outcome.log, { aadsts: code, remedy }, `AADSTS${code}`)
    }
  })
  await t.test('a cancellation is called one', async (t) => {
    for (const answer of [{ error: 'access_denied' }, { error: 'access_denied', error_subcode: 'cancel' }]) {
      const outcome = await attempt(gateway, { callback: ({ state }) => ({ ...answer, state }) })
      refused(t, outcome, 'login_cancelled')
      t.match(outcome.page, 'cancelled')
    }
  })
})
