// What an AADSTS code means for the person and for the operator (learn.microsoft.com, "Microsoft Entra authentication
// error codes"). Codes decide, never message texts; the texts carry only the code where `error_codes` is missing.
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import { asClaims } from './challenge.js'
import { isRecord } from './http-client.js'

interface Meaning { readonly code: ErrorCode, readonly remedy: string }

const START_AGAIN = 'Nothing to do: the person signs in again. If it happens often, look at the clocks.'
const CONSENT = 'Grant admin consent for the delegated permission User.Read (Enterprise applications > Permissions).'
const POLICY = 'Look at the sign-in log in the Entra admin center, by the correlation id, which policy decided.'

const MEANINGS: Readonly<Record<number, Meaning>> = {
  50011: { code: 'entra_redirect_mismatch', remedy: 'Register exactly {publicUrl}/oauth2/callback under Authentication > Web.' },
  50020: { code: 'person_not_in_tenant', remedy: 'Invite the person as a guest, or check entra.tenantId.' },
  50034: { code: 'person_not_in_tenant', remedy: 'The account does not exist in this tenant: check entra.tenantId.' },
  90072: { code: 'person_not_in_tenant', remedy: 'Invite the person as a guest of the tenant first.' },
  50053: { code: 'person_locked', remedy: 'The account is locked after too many attempts: its administrator can unlock it.' },
  50057: { code: 'person_locked', remedy: 'The account is disabled in Entra ID.' },
  50126: { code: 'person_locked', remedy: 'Wrong username or password.' },
  50058: { code: 'interaction_required', remedy: START_AGAIN },
  50074: { code: 'interaction_required', remedy: 'Multi-factor authentication is asked for: the person signs in again.' },
  50076: { code: 'interaction_required', remedy: 'Multi-factor authentication is asked for: the person signs in again.' },
  50079: { code: 'interaction_required', remedy: 'The person must register for multi-factor authentication.' },
  50105: { code: 'person_not_assigned', remedy: 'Assign the person or a direct group of theirs under Enterprise applications > Users and groups (nested groups do not count there), or switch "Assignment required" off.' },
  50173: { code: 'interaction_required', remedy: START_AGAIN },
  70043: { code: 'interaction_required', remedy: START_AGAIN },
  700082: { code: 'interaction_required', remedy: START_AGAIN },
  50194: { code: 'entra_tenant_unknown', remedy: 'A single-tenant application was used at /common: set entra.tenantId.' },
  50196: { code: 'entra_request_refused', remedy: 'Entra saw the same request in a loop: check the clock and whether cookies reach Gatehouse.' },
  501481: { code: 'code_mismatch', remedy: START_AGAIN },
  53000: { code: 'conditional_access', remedy: POLICY },
  53003: { code: 'conditional_access', remedy: POLICY },
  530035: { code: 'conditional_access', remedy: POLICY },
  54005: { code: 'code_redeemed', remedy: 'A callback was sent twice. The person starts again.' },
  65001: { code: 'consent_required', remedy: CONSENT },
  90094: { code: 'consent_required', remedy: CONSENT },
  90095: { code: 'consent_required', remedy: CONSENT },
  65004: { code: 'consent_declined', remedy: 'The person declined; an administrator can consent for everybody.' },
  65005: { code: 'entra_permission_missing', remedy: 'Add the delegated Graph permission User.Read to the registration.' },
  650056: { code: 'entra_permission_missing', remedy: 'Add the delegated Graph permission User.Read to the registration.' },
  650057: { code: 'entra_permission_missing', remedy: 'Add the delegated Graph permission User.Read to the registration.' },
  70000: { code: 'code_expired', remedy: START_AGAIN },
  70008: { code: 'code_expired', remedy: START_AGAIN },
  700005: { code: 'code_expired', remedy: 'The code is of another tenant or expired: check entra.tenantId and the clock.' },
  700016: { code: 'entra_app_unknown', remedy: 'Check entra.clientId, entra.tenantId and entra.cloud.' },
  7000112: { code: 'entra_app_unknown', remedy: 'The application is disabled in Entra ID: enable it under Enterprise applications.' },
  7000215: { code: 'entra_secret_wrong', remedy: 'entra.clientSecret is wrong; usually the secret\'s ID was pasted instead of its Value.' },
  7000218: { code: 'entra_secret_wrong', remedy: 'No client secret arrived: check entra.clientSecret, and that the platform of the redirect URI is "Web".' },
  70021: { code: 'entra_secret_wrong', remedy: 'No federated credential of the registration fits the workload\'s token: compare issuer, subject and audience.' },
  700021: { code: 'entra_secret_wrong', remedy: 'The client assertion names another application: check entra.clientId.' },
  700211: { code: 'entra_secret_wrong', remedy: 'No federated credential has the issuer of the workload\'s token: compare it in the registration.' },
  700212: { code: 'entra_secret_wrong', remedy: 'No federated credential has the audience of the workload\'s token: it is api://AzureADTokenExchange unless told otherwise.' },
  700213: { code: 'entra_secret_wrong', remedy: 'No federated credential has the subject of the workload\'s token: system:serviceaccount:NAMESPACE:SERVICE_ACCOUNT.' },
  1000502: { code: 'entra_secret_expired', remedy: 'The certificate is not within its time: make a new one, upload it, then exchange entra.certificate.keyFile and certFile.' },
  700023: { code: 'entra_secret_wrong', remedy: 'The audience of the client assertion is wrong: check entra.tenantId and entra.authorityHost.' },
  700024: { code: 'entra_secret_wrong', remedy: 'The client assertion is not within its time: check the clock of this machine; a workload\'s token may have expired.' },
  700027: { code: 'entra_secret_wrong', remedy: 'The client assertion was refused: check that the certificate in entra.certificate.certFile is uploaded under Certificates & secrets.' },
  7000222: { code: 'entra_secret_expired', remedy: 'Create a new client secret under Certificates & secrets and put its Value into entra.clientSecret.' },
  70011: { code: 'entra_request_refused', remedy: 'A scope was refused: check entra.graphUrl and entra.cloud.' },
  900144: { code: 'entra_request_refused', remedy: 'A parameter is missing: please report this.' },
  9002313: { code: 'entra_request_refused', remedy: 'The request is malformed: please report this.' },
  901002: { code: 'entra_request_refused', remedy: 'The v2.0 endpoint knows no `resource`: please report this.' },
  90002: { code: 'entra_tenant_unknown', remedy: 'Check entra.tenantId and entra.cloud.' },
  90038: { code: 'entra_tenant_unknown', remedy: 'The tenant is in another cloud: check entra.cloud.' },
  900382: { code: 'entra_tenant_unknown', remedy: 'The tenant is in another cloud: check entra.cloud.' },
  90006: { code: 'entra_unavailable', remedy: 'Transient: try again.' },
  90012: { code: 'entra_unavailable', remedy: 'Transient: try again.' },
  90024: { code: 'entra_unavailable', remedy: 'Transient: try again.' },
  90033: { code: 'entra_unavailable', remedy: 'Transient: try again.' },
  90055: { code: 'entra_unavailable', remedy: 'Transient: try again.' },
}

// The OAuth error where no AADSTS code says more (RFC 6749 sections 4.1.2.1 and 5.2, OpenID Connect Core 3.1.2.6).
const OAUTH_ERRORS: Readonly<Record<string, Meaning>> = {
  access_denied: { code: 'login_cancelled', remedy: 'The person cancelled.' },
  consent_required: { code: 'consent_required', remedy: CONSENT },
  interaction_required: { code: 'interaction_required', remedy: START_AGAIN },
  login_required: { code: 'interaction_required', remedy: START_AGAIN },
  invalid_client: { code: 'entra_secret_wrong', remedy: 'Check entra.clientId and entra.clientSecret.' },
  temporarily_unavailable: { code: 'entra_unavailable', remedy: 'Transient: try again.' },
  server_error: { code: 'entra_unavailable', remedy: 'Transient: try again.' },
}

/** The table, for documentation. */
export function aadstsMeanings(): readonly (Meaning & { readonly number: number })[] {
  return Object.entries(MEANINGS).map(([number, meaning]) => ({ number: Number(number), ...meaning }))
}

/** An error that the authorization or the token endpoint sent, as ours; `error_description` never reaches the person. */
export function entraError(body: unknown, where: 'authorize' | 'token', status?: number): GatehouseError {
  const answer = isRecord(body) ? body : {}
  const text = (key: string) => typeof answer[key] === 'string' ? answer[key] : undefined
  const aadsts = aadstsCode(answer)
  const meaning = (aadsts === undefined ? undefined : MEANINGS[aadsts]) ?? OAUTH_ERRORS[text('error') ?? ''] ?? unknownMeaning(status)
  return new GatehouseError(meaning.code, {
    detail: `Entra ID (${where}): ${aadsts === undefined ? text('error') ?? 'no error code' : `AADSTS${aadsts}`}`,
    remedy: meaning.remedy,
    facts: { aadsts, oauthError: text('error'), suberror: text('suberror') ?? text('error_subcode'), entraCorrelationId: text('correlation_id'), entraTraceId: text('trace_id'), status, claims: asClaims(answer.claims) },
  })
}

function aadstsCode(answer: Readonly<Record<string, unknown>>): number | undefined {
  const [listed] = Array.isArray(answer.error_codes) ? answer.error_codes : []
  if (typeof listed === 'number') return listed
  const [, found] = /AADSTS(\d+)/.exec(typeof answer.error_description === 'string' ? answer.error_description : '') ?? []
  return found === undefined ? undefined : Number(found)
}

function unknownMeaning(status: number | undefined): Meaning {
  if (status !== undefined && (status === 429 || status >= 500)) return { code: 'entra_unavailable', remedy: 'Try again; see the status page of Microsoft 365.' }
  return { code: 'entra_request_refused', remedy: 'Look the code up at https://login.microsoftonline.com/error' }
}
