// The errors of the identity platform, by number: which OAuth error, which status, which words. Texts follow recordings
// where there are any and the published error reference elsewhere; only the numbers are to be relied on.
import { randomUUID } from 'node:crypto'

export interface Explanation {
  error: string
  status: number
  text: string
}

const invalidRequest = (text: string): Explanation => ({ error: 'invalid_request', status: 400, text })
const invalidClient = (text: string): Explanation => ({ error: 'invalid_client', status: 401, text })
const invalidGrant = (text: string): Explanation => ({ error: 'invalid_grant', status: 400, text })

const interaction = (text: string): Explanation => ({ error: 'interaction_required', status: 400, text })
const denied = (text: string): Explanation => ({ error: 'access_denied', status: 400, text })

const catalogue: Record<number, Explanation> = {
  50011: invalidRequest(
    "The redirect URI '{0}' specified in the request does not match the redirect URIs configured for the application " +
      "'{1}'.",
  ),
  50013: invalidGrant('Assertion failed signature validation.'),
  50057: invalidGrant('The user account is disabled.'),
  50058: { error: 'login_required', status: 400, text: 'A silent sign-in request was sent but no user is signed in.' },
  50076: invalidGrant(
    'Due to a configuration change made by your administrator, or because you moved to a new location, you must use ' +
      "multi-factor authentication to access '00000003-0000-0000-c000-000000000000'.",
  ),
  50105: {
    error: 'interaction_required',
    status: 400,
    text: "Your administrator has configured the application {1} ('{0}') to block users unless they are specifically " +
      "granted ('assigned') access to the application.",
  },
  50128: denied(
    'Invalid domain name - No tenant-identifying information found in either the request or implied by ' +
      'any provided credentials.',
  ),
  50131: denied(
    'Device is not in required device state: compliant. ' +
      'Conditional Access policy requires a compliant device.',
  ),
  50155: invalidGrant('Device authentication failed for this user.'),
  50173: invalidGrant('The provided grant has expired due to it being revoked, a fresh auth token is needed.'),
  50194: invalidRequest(
    "Application '{0}' is not configured as a multi-tenant application. Usage of the /common endpoint is not " +
      "supported for such apps created after '10/15/2018'. Use a tenant-specific endpoint or " +
      'configure the application ' +
      'to be multi-tenant.',
  ),
  500011: denied('The resource principal named {0} was not found in the tenant named {1}.'),
  501481: invalidGrant('The Code_Verifier does not match the code_challenge supplied in the authorization request.'),
  501491: invalidRequest('Invalid size of Code_Challenge parameter.'),
  53000: interaction('Device is not in required device state: compliant.'),
  53001: interaction('Device is not in required device state: domain_joined.'),
  53002: interaction('The application used is not an approved application for Conditional Access.'),
  53003: interaction(
    'Access has been blocked by Conditional Access policies. ' +
      'The access policy does not allow token issuance.',
  ),
  53004: denied('The user needs to complete Multi-factor authentication registration before accessing this content.'),
  53011: invalidGrant('User blocked due to risk on home tenant.'),
  54005: invalidGrant(
    'OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh ' +
      'token.',
  ),
  65001: {
    error: 'consent_required',
    status: 400,
    text: "The user or administrator has not consented to use the application with ID '{0}'.",
  },
  65004: { error: 'access_denied', status: 400, text: 'User declined to consent to access the app.' },
  70000: invalidGrant("The provided value for the input parameter '{0}' is not valid."),
  70003: { error: 'unsupported_grant_type', status: 400, text: "The app requested an unsupported grant type '{0}'." },
  70005: {
    error: 'unsupported_response_type',
    status: 400,
    text: "The app requested an unsupported response type '{0}'.",
  },
  70008: invalidGrant(
    'The provided authorization code or refresh token has expired due to inactivity. Send a new interactive ' +
      'authorization request for this user and resource.',
  ),
  70011: {
    error: 'invalid_scope',
    status: 400,
    text: "The provided request must include a 'scope' input parameter. The provided value for the input parameter " +
      "'scope' is not valid. The scope {0} is not valid.",
  },
  70021: invalidClient('No matching federated identity record found for presented assertion.'),
  90002: invalidRequest(
    "Tenant '{0}' not found. Check to make sure you have the correct tenant ID and are signing into the correct " +
      'cloud. Check with your subscription administrator, this may happen if there are no active ' +
      'subscriptions for the ' +
      'tenant.',
  ),
  90009: denied(
    "Application '{0}' is requesting a token for itself. This scenario is supported only if resource is " +
      'specified using the GUID based App Identifier.',
  ),
  90023: invalidRequest("Unsupported '{0}' value."),
  90033: { error: 'temporarily_unavailable', status: 503, text: 'A transient error has occurred. Please try again.' },
  90094: { error: 'access_denied', status: 400, text: 'The grant requires administrator permission.' },
  650052: denied(
    "The app is trying to access a service '{0}' that your organization '{1}' lacks " +
      'a service principal for.',
  ),
  700016: {
    error: 'unauthorized_client',
    status: 400,
    text:
      "Application with identifier '{0}' was not found in the directory '{1}'. This can happen if the application " +
      'has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may ' +
      'have sent your authentication request to the wrong tenant.',
  },
  700021: invalidClient("Client assertion application identifier doesn't match 'client_id' parameter."),
  700023: invalidClient("Client assertion audience claim does not match Realm issuer. The audience must be '{0}'."),
  700024: invalidClient('Client assertion is not within its valid time range.'),
  700027: invalidClient(
    'The certificate with identifier used to sign the client assertion is not registered on application, or the ' +
      'client assertion contains an invalid signature.',
  ),
  700054: {
    error: 'unsupported_response_type',
    status: 400,
    text: "response_type '{0}' is not enabled for the application.",
  },
  700211: invalidClient(
    "No matching federated identity record found for presented assertion issuer '{0}'. Check your federated identity " +
      'credential Subject, Audience and Issuer against the presented assertion.',
  ),
  700212: invalidClient(
    "No matching federated identity record found for presented assertion audience '{0}'. Check your federated " +
      'identity credential Subject, Audience and Issuer against the presented assertion.',
  ),
  700213: invalidClient(
    "No matching federated identity record found for presented assertion subject '{0}'. Check your federated " +
      'identity credential Subject, Audience and Issuer against the presented assertion.',
  ),
  7000215: invalidClient(
    'Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the ' +
      "client secret ID, for a secret added to app '{0}'.",
  ),
  7000218: invalidClient(
    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
  ),
  7000222: invalidClient(
    "The provided client secret keys for app '{0}' are expired. Visit the Azure portal to create new keys for your " +
      'app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: ' +
      'https://aka.ms/certCreds.',
  ),
  900144: invalidRequest("The request body must contain the following parameter: '{0}'."),
  901002: invalidRequest("The 'resource' request parameter is not supported."),
  1000502: invalidClient('The provided certificate is not within its specified validity period.'),
  1002012: {
    error: 'invalid_scope',
    status: 400,
    text:
      'The provided value for scope {0} is not valid. Client credential flows must have a scope value with /.default ' +
      'suffixed to the resource identifier (application ID URI).',
  },
  9000411: invalidRequest("The request is not properly formatted. The parameter '{0}' is duplicated."),
  9002313: invalidRequest('Invalid request. Request is malformed or invalid.'),
  9002325: invalidRequest('Proof Key for Code Exchange is required for cross-origin authorization code redemption.'),
  9002327: invalidRequest(
    "Tokens issued for the 'Single-Page Application' client-type may only be redeemed " +
      'via cross-origin requests.',
  ),
  9002326: invalidRequest(
    "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type. Request origin: " +
      "'{0}'.",
  ),
}

const transient = new Set([90033, 90006, 90012, 90024, 90055])
export const isTransient = (code: number) => transient.has(code)

export function explain(code: number, values: readonly string[] = []): Explanation {
  const known = catalogue[code] ?? (isTransient(code) ? catalogue[90033] : undefined) ??
    invalidGrant('An error that this simulator has no words for.')
  return { ...known, text: known.text.replace(/\{(\d)\}/g, (_match, n: string) => values[Number(n)] ?? '') }
}

/** Thrown by the checks of every route; each route decides how it is shown (JSON, page, callback). */
export class AadstsError extends Error {
  readonly code: number
  readonly values: readonly string[]

  constructor(code: number, ...values: string[]) {
    super(`AADSTS${code}`)
    this.code = code
    this.values = values
  }
}

interface ErrorBodyWish {
  code: number
  values?: readonly string[]
  now: number
  error?: string
  crlf?: boolean
  correlationId?: string
}

/** The JSON of the token endpoint, member for member. */
export function aadstsBody({ code, values, now, error, crlf = false, correlationId = randomUUID() }: ErrorBodyWish) {
  const explanation = explain(code, values)
  const timestamp = new Date(now).toISOString().replace('T', ' ').replace(/\.\d+Z$/, 'Z')
  const traceId = randomUUID()
  const parts = [
    `AADSTS${code}: ${explanation.text}`,
    `Trace ID: ${traceId}`,
    `Correlation ID: ${correlationId}`,
    `Timestamp: ${timestamp}`,
  ]
  return {
    error: error ?? explanation.error,
    error_description: parts.join(crlf ? '\r\n' : ' '),
    error_codes: [code],
    timestamp,
    trace_id: traceId,
    correlation_id: correlationId,
    error_uri: `https://login.microsoftonline.com/error?code=${code}`,
  }
}
