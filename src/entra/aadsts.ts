// An error of the authorization or the token endpoint as one of ours. The AADSTS code decides, and where there is
// none the OAuth error; texts only carry the code where `error_codes` is missing, as at the callback.
import { GatehouseError } from '../core/errors.js'
import { isRecord } from '../core/is-record.js'
import { CONSENT, meaningOf, START_AGAIN, TRANSIENT, type Meaning } from './aadsts-meanings.js'
import { asClaims } from './challenge.js'

const CANCELLED: Meaning = { code: 'login_cancelled', remedy: 'The person cancelled.' }
const LOOK_UP = 'Look the code up at https://login.microsoftonline.com/error'

// RFC 6749 sections 4.1.2.1 and 5.2, OpenID Connect Core 3.1.2.6.
const OAUTH_ERRORS: Readonly<Record<string, Meaning>> = {
  access_denied: CANCELLED,
  consent_required: { code: 'consent_required', remedy: CONSENT },
  interaction_required: { code: 'interaction_required', remedy: START_AGAIN },
  login_required: { code: 'interaction_required', remedy: START_AGAIN },
  invalid_client: { code: 'entra_secret_wrong', remedy: 'Check entra.clientId and entra.clientSecret.' },
  temporarily_unavailable: { code: 'entra_unavailable', remedy: TRANSIENT },
  server_error: { code: 'entra_unavailable', remedy: TRANSIENT },
}

type Answer = Readonly<Record<string, unknown>>

/** What the authorization or the token endpoint sent; `error_description` never reaches the person. */
export function entraError(body: unknown, where: 'authorize' | 'token', status?: number): GatehouseError {
  const answer = isRecord(body) ? body : {}
  const oauthError = textOf(answer, 'error')
  const aadsts = aadstsCode(answer)
  const { code, remedy } = meaningOfAnswer(answer, aadsts, status)
  return new GatehouseError(code, {
    detail: `Entra ID (${where}): ${aadsts === undefined ? oauthError ?? 'no error code' : `AADSTS${aadsts}`}`,
    remedy,
    facts: {
      aadsts,
      oauthError,
      suberror: textOf(answer, 'suberror') ?? textOf(answer, 'error_subcode'),
      entraCorrelationId: textOf(answer, 'correlation_id') ?? described(answer, /Correlation ID: ([0-9a-f-]{36})\b/i),
      entraTraceId: textOf(answer, 'trace_id') ?? described(answer, /Trace ID: ([0-9a-f-]{36})\b/i),
      status,
      claims: asClaims(answer.claims),
    },
  })
}

/** A refusal is no cancellation: `access_denied` with a code has the meaning of the code. */
function meaningOfAnswer(answer: Answer, aadsts: number | undefined, status: number | undefined): Meaning {
  const oauthError = textOf(answer, 'error') ?? ''
  if (oauthError === 'access_denied' && textOf(answer, 'error_subcode') === 'cancel') return CANCELLED
  const general = Object.hasOwn(OAUTH_ERRORS, oauthError) ? OAUTH_ERRORS[oauthError] : undefined
  if (aadsts === undefined) return general ?? unknownMeaning(status) // guard: adv-refused-not-cancelled
  const known = meaningOf(aadsts)
  if (known !== undefined) return known
  const remedy = `${LOOK_UP}?code=${aadsts}, and the sign-in log by the correlation id.`
  if (oauthError === 'access_denied') return { code: 'sign_in_refused', remedy } // guard: adv-refused-unknown
  // guard: adv-refused-remedy
  return general === undefined ? { ...unknownMeaning(status), remedy } : { code: general.code, remedy }
}

function aadstsCode(answer: Answer): number | undefined {
  const [listed] = Array.isArray(answer.error_codes) ? answer.error_codes : []
  if (typeof listed === 'number') return listed
  const [, linked] = /[?&]code=(\d{1,12})(?!\d)/.exec(textOf(answer, 'error_uri') ?? '') ?? []
  const found = described(answer, /AADSTS(\d{1,12})(?!\d)/) ?? linked
  return found === undefined ? undefined : Number(found)
}

function textOf(answer: Answer, key: string): string | undefined {
  const value = answer[key]
  return typeof value === 'string' ? value : undefined
}

function described(answer: Answer, pattern: RegExp): string | undefined {
  return pattern.exec(textOf(answer, 'error_description') ?? '')?.[1]
}

function unknownMeaning(status: number | undefined): Meaning {
  if (status !== undefined && (status === 429 || status >= 500)) {
    return { code: 'entra_unavailable', remedy: 'Try again; see the status page of Microsoft 365.' }
  }
  return { code: 'entra_request_refused', remedy: LOOK_UP }
}
