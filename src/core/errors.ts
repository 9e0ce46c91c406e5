// All failures of requests, logins and commands in one table: a code does not compile without a status and a sentence
// for the user. Codes are stable, sentences may change. Details for operators go to the log.

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
  state_invalid: { status: 400, sentence: 'This sign-in was not started by Gatehouse, or its address was changed.' },
  state_expired: { status: 400, sentence: 'This sign-in took longer than ten minutes.' },
  state_other_browser: {
    status: 400,
    sentence:
      'This sign-in was started in another browser, or this browser blocks cookies. Allow cookies, then try again.',
  },
  state_replayed: { status: 400, sentence: 'This sign-in was already completed.' },
  callback_malformed: { status: 400, sentence: 'The answer from Microsoft Entra ID is incomplete.' },
  return_to_refused: { status: 400, sentence: 'The address to return to is not one that Gatehouse may send you to.' },
  query_duplicate: { status: 400, sentence: 'The address contains the same parameter twice.' },
  query_unknown: { status: 400, sentence: 'The address contains an unknown parameter.' },
  sign_in_loop: {
    status: 400,
    sentence: 'You signed in, but the application does not receive the session cookie and asks you to sign in again.',
  },
  loaded_ahead: {
    status: 503,
    sentence: 'The browser preloaded this page, so Gatehouse did nothing. Open the page again.',
  },
  sid_malformed: { status: 400, sentence: 'Only Microsoft Entra ID may use this address.' },
  login_cancelled: { status: 403, sentence: 'The sign-in was cancelled.' },
  step_up_unmet: {
    status: 403,
    sentence: 'This page needs a new sign-in, and Microsoft Entra ID did not confirm that you signed in anew.',
  },
  step_up_other_person: {
    status: 403,
    sentence: 'You came back from Microsoft as another person than the one who is signed in here. Nothing was changed.',
  },

  // Refusals of the user by Entra ID.
  consent_declined: { status: 403, sentence: 'The permissions that this sign-in needs were declined.' },
  consent_required: { status: 403, sentence: 'An administrator must first approve Gatehouse in Microsoft Entra ID.' },
  interaction_required: { status: 403, sentence: 'Microsoft Entra ID requires you to sign in again.' },
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
    sentence: 'This account is locked or disabled, or Microsoft Entra ID could not confirm it.',
  },
  person_not_found: {
    status: 403,
    sentence: 'Microsoft Graph did not find this account. A new account may need some minutes.',
  },
  code_redeemed: { status: 400, sentence: 'This sign-in was already used.' },
  code_expired: { status: 400, sentence: 'This sign-in expired before it was completed.' },
  code_mismatch: { status: 400, sentence: 'This sign-in does not belong to this browser tab.' },

  // Failures between Gatehouse and Entra ID or Graph, which the user cannot correct.
  entra_secret_wrong: { status: 502, sentence: 'Microsoft Entra ID did not accept the credential of Gatehouse.' },
  entra_secret_expired: { status: 502, sentence: 'The credential of Gatehouse at Microsoft Entra ID has expired.' },
  entra_credential_unusable: {
    status: 502,
    sentence: 'Gatehouse has no usable credential for Microsoft Entra ID.',
  },
  entra_app_unknown: { status: 502, sentence: 'Microsoft Entra ID did not find the application of Gatehouse.' },
  entra_tenant_unknown: { status: 502, sentence: 'Microsoft Entra ID did not find this organisation.' },
  entra_redirect_mismatch: {
    status: 502,
    sentence: 'The address of Gatehouse is not registered in Microsoft Entra ID.',
  },
  entra_permission_missing: {
    status: 502,
    sentence: 'The registration of Gatehouse in Microsoft Entra ID lacks a permission.',
  },
  entra_request_refused: { status: 502, sentence: 'Microsoft Entra ID refused the request of Gatehouse.' },
  entra_unavailable: { status: 503, sentence: 'Microsoft Entra ID is not available at the moment.' },
  entra_timeout: { status: 504, sentence: 'Microsoft Entra ID took too long to answer.' },
  entra_malformed: { status: 502, sentence: 'Microsoft Entra ID sent an invalid answer.' },
  entra_keys_unavailable: { status: 503, sentence: 'The signing keys of Microsoft Entra ID are not available.' },
  id_token_missing: { status: 502, sentence: 'Microsoft Entra ID sent no ID token.' },
  id_token_malformed: { status: 403, sentence: 'Your sign-in from Microsoft Entra ID is malformed.' },
  id_token_algorithm: {
    status: 403,
    sentence: 'Your sign-in from Microsoft Entra ID has the wrong signature algorithm.',
  },
  id_token_key: { status: 403, sentence: 'Your sign-in from Microsoft Entra ID is signed with an unknown key.' },
  id_token_signature: { status: 403, sentence: 'Your sign-in from Microsoft Entra ID has an invalid signature.' },
  id_token_issuer: { status: 403, sentence: 'Your sign-in from Microsoft Entra ID has the wrong issuer.' },
  id_token_audience: { status: 403, sentence: 'Your sign-in from Microsoft Entra ID is for another application.' },
  id_token_tenant: { status: 403, sentence: 'This account belongs to another organisation.' },
  id_token_nonce: {
    status: 403,
    sentence: 'Your sign-in from Microsoft Entra ID does not belong to this browser tab.',
  },
  id_token_expired: { status: 403, sentence: 'Your sign-in from Microsoft Entra ID has expired.' },
  id_token_not_yet_valid: { status: 403, sentence: 'Your sign-in from Microsoft Entra ID is not valid yet.' },
  id_token_claims: { status: 403, sentence: 'Your sign-in from Microsoft Entra ID lacks required claims.' },
  graph_unauthorized: { status: 502, sentence: 'Microsoft Graph did not accept the sign-in.' },
  graph_forbidden: { status: 502, sentence: 'Gatehouse is not permitted to read your groups from Microsoft Graph.' },
  graph_claims_challenge: { status: 403, sentence: 'Microsoft Graph requires another verification of your identity.' },
  graph_security_hidden: {
    status: 502,
    sentence: 'Microsoft Graph does not show Gatehouse which of your groups are security groups.',
  },
  graph_request_refused: { status: 502, sentence: 'Microsoft Graph refused the request of Gatehouse.' },
  graph_throttled: { status: 503, sentence: 'Microsoft Graph has too many requests at the moment.' },
  graph_unavailable: { status: 503, sentence: 'Microsoft Graph is not available at the moment.' },
  graph_timeout: { status: 504, sentence: 'Microsoft Graph took too long to answer.' },
  graph_malformed: { status: 502, sentence: 'Microsoft Graph sent an invalid answer.' },
  graph_not_json: { status: 502, sentence: 'The answer did not come from Microsoft Graph.' },
  graph_redirected: { status: 502, sentence: 'A request of Gatehouse to Microsoft Graph was redirected.' },
  graph_too_large: { status: 502, sentence: 'The answer of Microsoft Graph is too large.' },
  graph_page_expired: { status: 503, sentence: 'Your groups changed while Gatehouse was reading them.' },
  graph_count_differs: { status: 503, sentence: 'Your groups changed while Gatehouse was reading them.' },
  graph_foreign_link: { status: 502, sentence: 'Microsoft Graph referred Gatehouse to another server.' },
  graph_paging_loop: { status: 502, sentence: 'Microsoft Graph returned the same page twice.' },
  graph_too_many_pages: { status: 502, sentence: 'Microsoft Graph returned more groups than Gatehouse accepts.' },

  // The pipeline.
  user_inactive: { status: 403, sentence: 'Your account is deactivated in Gatehouse.' },
  person_not_allowed: { status: 403, sentence: 'Your kind of account may not sign in here.' },
  email_ambiguous: { status: 403, sentence: 'Several accounts in Gatehouse have your e-mail address.' },
  not_mapped: { status: 403, sentence: 'None of your groups gives you access.' },
  username_unavailable: { status: 500, sentence: 'No username is available for you.' },
  step_refused: { status: 403, sentence: 'A rule of this organisation does not let you sign in.' },
  step_unusable: { status: 500, sentence: 'A step of the sign-in cannot be loaded.' },
  step_failed: { status: 500, sentence: 'A step of the sign-in failed.' },
  login_contended: { status: 503, sentence: 'The same account has too many sign-ins at the same time.' },

  // Sessions, forward-auth, and everything else.
  not_signed_in: { status: 401, sentence: 'You are not signed in.' },
  session_cookie_doubled: { status: 401, sentence: 'Your browser has two session cookies. Sign in to remove both.' },
  session_unreadable: { status: 401, sentence: 'Your session cookie is not valid.' },
  not_allowed: { status: 403, sentence: 'You are signed in, but you do not have access to this page.' },
  target_malformed: { status: 400, sentence: 'The requested address is not valid.' },
  target_missing: { status: 401, sentence: 'The proxy of this application did not send the requested address.' },
  identity_too_large: {
    status: 403,
    sentence: 'You have more groups than fit into the headers for this application.',
  },
  signing_key_sealed: { status: 500, sentence: 'A signing key of Gatehouse cannot be decrypted.' },
  database_unavailable: { status: 503, sentence: 'Gatehouse cannot reach its database.' },
  sync_lock_unavailable: { status: 503, sentence: 'Gatehouse cannot determine which replica re-evaluates users.' },
  rate_limited: { status: 429, sentence: 'Too many requests: wait a minute.' },
  request_malformed: { status: 400, sentence: 'The request is malformed.' },
  not_found: { status: 404, sentence: 'This page does not exist.' },
  internal: { status: 500, sentence: 'Something went wrong inside Gatehouse.' },

  // The admin console and its API.
  snapshot_missing: { status: 409, sentence: 'The Entra groups of this user were never read.' },
  admin_sign_in_required: { status: 401, sentence: 'Sign in to the admin console first.' },
  admin_token_invalid: {
    status: 401,
    sentence: 'This API token is not valid: it is unknown, has ended or was revoked, or its owner is inactive.',
  },
  not_by_token: { status: 403, sentence: 'API tokens may not do this: it needs a user of the console.' },
  form_refused: {
    status: 403,
    sentence: 'This request did not come from a current page of the console. Load the page again, then repeat it.',
  },

  token_unknown: { status: 404, sentence: 'There is no such token.' },
  token_owner_unusable: { status: 409, sentence: 'This user cannot own a token.' },
  request_repeated: {
    status: 409,
    sentence: 'This was sent before and was done then. It was not done a second time.',
  },
  step_up_required: { status: 403, sentence: 'This needs a new sign-in: yours was too long ago.' },
  above_own_rights: { status: 403, sentence: 'This is more than your own rights allow.' },
  last_superuser: { status: 409, sentence: 'No active superuser would be left.' },
  version_missing: { status: 428, sentence: 'The request does not say which version it was made for (If-Match).' },
  version_stale: {
    status: 412,
    sentence: 'This was changed in the meantime. Look at what it is now, then decide again.',
  },

  // Commands.
  group_exists: { status: 409, sentence: 'A group with this name exists already.' },
  group_name_invalid: { status: 400, sentence: 'This is not a valid name for a group.' },
  permission_invalid: {
    status: 400,
    sentence: 'This is not a valid permission: words joined by dots, like netbox.view.',
  },
  group_unknown: { status: 404, sentence: 'This group does not exist.' },
  membership_unknown: { status: 404, sentence: 'The user is not in this group.' },
  right_not_held: { status: 404, sentence: 'The user does not have this right, or not any more.' },
  review_own_right: {
    status: 403,
    sentence: 'This is a right of your own: another administrator must review it.',
  },
  group_mapped: { status: 409, sentence: 'The group mapping or an access rule names this group.' },
  username_taken: { status: 409, sentence: 'This username is or was in use.' },
  username_not_reserved: { status: 404, sentence: 'This username is not reserved.' },
  username_reserved: { status: 409, sentence: 'The configuration reserves this username.' },
  username_invalid: { status: 400, sentence: 'This is not a valid username.' },
  policy_approvals_missing: { status: 409, sentence: 'Other administrators must approve this change of the policy.' },
  policy_changed: { status: 409, sentence: 'Another version of the policy was deployed in the meantime.' },
  policy_missing: { status: 503, sentence: 'Gatehouse has no access policy yet, so nothing can be opened.' },
  policy_own_draft: {
    status: 403,
    sentence: 'You have edited this draft: another administrator must approve it.',
  },
  policy_preview_stale: {
    status: 409,
    sentence: 'This needs a preview of the draft, and of the policy in force, as both are now: make it first.',
  },
  policy_no_superuser: { status: 409, sentence: 'With this policy no superuser would be left, or not you.' },
  policy_replica_refused: { status: 409, sentence: 'A replica cannot run this policy. Nothing was changed.' },
  policy_replica_silent: { status: 409, sentence: 'A replica has not tried this policy. Nothing was changed.' },
  policy_schema_unknown: { status: 500, sentence: 'The policy in force needs a newer release of Gatehouse.' },
  policy_source_file: { status: 409, sentence: 'The policy is in the configuration file, and is changed there.' },
  policy_unusable: { status: 503, sentence: 'Gatehouse cannot run the access policy that is in force.' },
  policy_versions_differ: { status: 422, sentence: 'The two versions have too little in common for a patch.' },
  policy_draft_unknown: { status: 404, sentence: 'This draft of the policy does not exist.' },
  policy_draft_unusable: { status: 422, sentence: 'This draft cannot be used as the policy: check it first.' },
  policy_entry_unknown: { status: 404, sentence: 'This draft of the policy has no such row or rule.' },
  policy_drafts_full: { status: 409, sentence: 'There are too many drafts of the policy: delete one first.' },
  policy_image_unknown: { status: 404, sentence: 'There is no uploaded image of this name.' },
  policy_image_exists: { status: 409, sentence: 'Another image has this name: give yours another name.' },
  policy_image_unusable: { status: 400, sentence: 'It is no PNG, JPEG or WebP of at most 256 kB.' },
  policy_images_full: { status: 409, sentence: 'There are too many uploaded images.' },
  live_preview_busy: { status: 409, sentence: 'Another live preview runs: one at a time in the installation.' },
  preview_interrupted: { status: 503, sentence: 'The preview was interrupted: start it again.' },
  policy_version_unusable: { status: 422, sentence: 'This version cannot be used as the policy any more.' },
  policy_version_unknown: { status: 404, sentence: 'There is no version of the policy with this number.' },
  session_unknown: { status: 404, sentence: 'This session does not exist.' },
  object_id_invalid: { status: 400, sentence: 'This is not a valid Object ID.' },
  user_unknown: { status: 404, sentence: 'This user does not exist.' },
  user_ambiguous: { status: 409, sentence: 'Several users match.' },
  file_unreadable: { status: 400, sentence: 'The file cannot be read.' },
  database_not_migrated: { status: 503, sentence: 'The database is not at this version of Gatehouse.' },
  command_missing: { status: 500, sentence: 'This command is not installed.' },
  proxy_unusable: { status: 500, sentence: 'The proxy for outgoing requests cannot be used.' },
  port_unusable: { status: 500, sentence: 'The port cannot be used.' },
  embedded_postgres_missing: { status: 500, sentence: 'The embedded PostgreSQL is not installed.' },
  database_engine_unsupported: { status: 500, sentence: 'The database is not one that Gatehouse can use.' },
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

/** The codes with which a login can fail after the browser has returned from Entra ID. */
export const LOGIN_FAILURES = (Object.keys(FAILURES) as ErrorCode[])
  .filter((code) => OF_LOGINS.test(code) || OTHERS_OF_LOGINS.has(code))

/** Only commands report these; no request is refused with them. */
export const COMMAND_FAILURES: ReadonlySet<ErrorCode> = new Set([
  'object_id_invalid',
  'database_not_migrated',
  'command_missing',
])

/** These end the start of the server: the last line of the log. */
export const START_FAILURES: ReadonlySet<ErrorCode> = new Set([
  'proxy_unusable',
  'port_unusable',
  'embedded_postgres_missing',
  'database_engine_unsupported',
  'policy_schema_unknown',
])

/** A new sign-in at Entra ID may succeed. It is started once: a second one could be an endless loop. */
export const RETRY_WITH_NEW_SIGN_IN: ReadonlySet<ErrorCode> = new Set([
  'interaction_required',
  'code_expired',
  'graph_claims_challenge',
])

export interface GatehouseErrorOptions {
  readonly cause?: unknown
  /** Replaces the sentence of the table, where an administrator wrote one for the user. */
  readonly sentence?: string
  /** Only for the log: what happened, in which call. Never shown to the user. */
  readonly detail?: string
  /** Only for the log: what the operator can do. */
  readonly remedy?: string
  /** Only for the log: Microsoft's request, correlation and trace ids, the HTTP status and so on. Never a token. */
  readonly facts?: Readonly<Record<string, unknown>>
}

/** The only error that other folders may handle; it is rendered with the status and the sentence of the table. */
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

/** The fields of a log line about an error; `err` with the stack only where the cause is a defect of a program. */
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
