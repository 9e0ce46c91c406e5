// What each AADSTS code means for the person and for the operator (learn.microsoft.com, "Microsoft Entra authentication
// error codes"). Codes decide, never message texts.
import type { ErrorCode } from '../core/errors.js'

export interface Meaning {
  readonly code: ErrorCode
  readonly remedy: string
}

export const START_AGAIN = 'Nothing to do: the person signs in again. If it happens often, look at the clocks.'
export const CONSENT = 'Grant admin consent for the delegated permission User.Read: Enterprise applications > ' +
  'Permissions, or ' +
  'https://login.microsoftonline.com/TENANT_ID/adminconsent?client_id=CLIENT_ID'
export const TRANSIENT = 'Transient: try again.'
const MFA = 'Multi-factor authentication is asked for: the person signs in again.'
const SIGN_IN_LOG = 'The sign-in log in the Entra admin center names the policy, by the correlation id.'
const POLICY = `A Conditional Access policy refused the sign-in. ${SIGN_IN_LOG}`
const RISK = `Microsoft Entra ID Protection refused the sign-in because of risk. ${SIGN_IN_LOG}`
const DEVICE = 'The device is not registered, disabled, or its certificate is not accepted: see `dsregcmd ' +
  '/status` on it, and Entra ID > Devices.'
const CROSS_TENANT = 'Cross-tenant access settings or tenant restrictions, here or in the home tenant, refuse ' +
  'this account: ' +
  'External Identities > Cross-tenant access settings.'
const PERMISSION = 'Add the delegated Graph permission User.Read to the registration.'
const PLATFORM = 'The redirect URI is registered for a single-page application: under Authentication remove ' +
  '{publicUrl}/oauth2/callback there ' +
  'and add it to the platform Web.'
const REPORT = 'Gatehouse sent what Entra ID does not take: please report this.'
const ON_PREMISES = 'The on-premises directory or its agent does not confirm the password: see the state of ' +
  'pass-through authentication.'
const NEW_PASSWORD = 'The password must be changed: the person does that at https://myaccount.microsoft.com ' +
  'and signs in again.'

type Row = readonly [code: ErrorCode, remedy: string, ...numbers: number[]]

const ROWS: readonly Row[] = [
  [
    'entra_redirect_mismatch',
    'Register exactly {publicUrl}/oauth2/callback under Authentication > ' +
    'Web.',
    50011,
    900971,
  ],
  ['entra_redirect_mismatch', PLATFORM, 9002325, 9002326, 9002327], // guard: adv-platform-web

  // The account.
  ['person_not_in_tenant', 'Invite the person as a guest, or check entra.tenantId.', 50020],
  ['person_not_in_tenant', 'The account does not exist in this tenant: check entra.tenantId.', 50034, 51004],
  ['person_not_in_tenant', 'Invite the person as a guest of the tenant first.', 90072],
  ['person_not_in_tenant', 'Personal accounts and accounts of other clouds cannot sign in here.', 500208, 50136],
  ['person_locked', 'The account is locked after too many attempts: its administrator can unlock it.', 50053],
  ['person_locked', 'The account is disabled in Entra ID.', 50057],
  ['person_locked', 'Wrong username or password.', 50126, 50056],
  ['person_locked', NEW_PASSWORD, 50055, 50125, 50135, 50142, 50144],
  ['person_locked', 'The account may not sign in at this hour (on-premises policy).', 80012],
  ['person_locked', ON_PREMISES, 80002, 80005, 80007, 80010],
  [
    'person_not_assigned',
    'Assign the person or a direct group of theirs under Enterprise applications > ' +
    'Users and groups ' +
    '(nested groups do not count there), or switch "Assignment required" off.',
    50105,
    501051,
  ],
  ['interaction_required', START_AGAIN, 50058, 50085, 50089, 50132, 50133, 50140, 50143, 50173, 50199, 70043],
  ['interaction_required', START_AGAIN, 16000, 160021, 700082],
  ['interaction_required', MFA, 50074, 50076, 50078],
  ['interaction_required', 'The person must register for multi-factor authentication.', 50072, 50079],

  // Policies.
  ['conditional_access', `The device does not comply with the organisation's policy (Intune). ${SIGN_IN_LOG}`, 53000],
  [
    'conditional_access',
    'A policy asks for a device that is joined to the organisation. ' +
    `${SIGN_IN_LOG}`,
    53001,
    50129,
  ],
  // guard: adv-conditional-access
  ['conditional_access', `A policy asks for an approved application. ${SIGN_IN_LOG}`, 53002, 53009, 50127],
  ['conditional_access', POLICY, 53003, 50131, 50158],
  [
    'conditional_access',
    'Registering for multi-factor authentication is blocked because of risk. ' +
    `${SIGN_IN_LOG}`,
    53004,
  ],
  ['conditional_access', `Registering security information needs a trusted place or device. ${SIGN_IN_LOG}`, 53010],
  ['conditional_access', RISK, 53011, 530032, 530034],
  [
    'conditional_access',
    'Security defaults of the tenant refused the sign-in (legacy authentication or ' +
    'missing registration).',
    530035,
  ],
  ['device_refused', DEVICE, 50155, 50097, 50187, 135011],
  ['sign_in_refused', CROSS_TENANT, 50002, 500021, 500212, 500213],
  ['sign_in_refused', 'The account is of a minor whom the tenant does not let use this application.', 54000],

  // Consent and permissions.
  ['consent_required', CONSENT, 65001, 90008, 90094, 90095, 90099],
  ['consent_declined', 'The person declined; an administrator can consent for everybody.', 65004],
  ['entra_permission_missing', PERMISSION, 65005, 650053, 650056, 650057],
  [
    'entra_permission_missing',
    'The tenant has no service that the registration asks for: take its permission ' +
    'away, or subscribe.',
    650052,
  ],
  [
    'entra_permission_missing',
    'Microsoft Graph is not known or disabled in this tenant: check entra.cloud ' +
    'and entra.graphUrl.',
    500011,
    500014,
    50001,
  ],

  // The code.
  [
    'code_mismatch',
    'The person signs in again. If it happens often, check that all replicas have the same ' +
    'session.secrets.',
    501481,
    50148,
  ],
  ['code_redeemed', 'A callback was sent twice. The person starts again.', 54005],
  ['code_expired', START_AGAIN, 70000, 70008, 70019],
  ['code_expired', 'The code is of another tenant or expired: check entra.tenantId and the clock.', 700005],

  // The registration and its credential.
  ['entra_app_unknown', 'Check entra.clientId, entra.tenantId and entra.cloud.', 700016, 70001],
  ['entra_app_unknown', 'The application is disabled in Entra ID: enable it under Enterprise applications.', 7000112],
  [
    'entra_secret_wrong',
    "entra.clientSecret is wrong; usually the secret's ID was pasted instead of its " +
    'Value.',
    7000215,
  ],
  [
    'entra_secret_wrong',
    'No client secret arrived: check entra.clientSecret, and that the platform of the ' +
    'redirect URI is "Web".',
    7000218,
    7000216,
  ],
  [
    'entra_secret_wrong',
    "No federated credential of the registration fits the workload's token: compare " +
    'issuer, subject and audience.',
    70021,
  ],
  ['entra_secret_wrong', 'The client assertion names another application: check entra.clientId.', 700021],
  [
    'entra_secret_wrong',
    "No federated credential has the issuer of the workload's token: compare it in the " +
    'registration.',
    700211,
  ],
  [
    'entra_secret_wrong',
    "No federated credential has the audience of the workload's token: " +
    'the default is api://AzureADTokenExchange.',
    700212,
  ],
  [
    'entra_secret_wrong',
    "No federated credential has the subject of the workload's token: " +
    'system:serviceaccount:NAMESPACE:SERVICE_ACCOUNT.',
    700213,
  ],
  [
    'entra_secret_wrong',
    'The audience of the client assertion is wrong: check entra.tenantId and ' +
    'entra.authorityHost.',
    700023,
  ],
  [
    'entra_secret_wrong',
    'The client assertion is not within its time: check the clock of this machine; a ' +
    "workload's token may have expired.",
    700024,
  ],
  [
    'entra_secret_wrong',
    'The client assertion was refused: check that the certificate in ' +
    'entra.certificate.certFile ' +
    'is uploaded under Certificates & secrets.',
    700027,
    700030,
    50013,
    50012,
  ],
  [
    'entra_secret_expired',
    'The certificate is not within its time: make a new one, upload it, ' +
    'then exchange entra.certificate.keyFile and certFile.',
    1000502,
  ],
  [
    'entra_secret_expired',
    'Create a new client secret under Certificates & secrets and put its Value into ' +
    'entra.clientSecret.',
    7000222,
  ],

  // The tenant and the request.
  ['entra_tenant_unknown', 'A single-tenant application was used at /common: set entra.tenantId.', 50194],
  ['entra_tenant_unknown', 'Check entra.tenantId and entra.cloud.', 90002, 50059, 50128, 90019],
  ['entra_tenant_unknown', 'The tenant is in another cloud: check entra.cloud.', 90038, 900382],
  [
    'entra_request_refused',
    'Entra saw the same request in a loop: check the clock and whether cookies reach ' +
    'Gatehouse.',
    50196,
  ],
  ['entra_request_refused', 'A scope was refused: check entra.graphUrl and entra.cloud.', 70011, 28002, 28003],
  [
    'entra_request_refused',
    'The registration asks for a token for itself: take its own API out of API ' +
    'permissions.',
    90009,
  ],
  ['entra_request_refused', 'The registration does not give out codes: see Authentication, platform Web.', 700054],
  [
    'entra_request_refused',
    'Claims mapping without a signing key of its own: see acceptMappedClaims in the ' +
    'manifest.',
    50146,
  ],
  ['entra_request_refused', REPORT, 900144, 9002313, 901002, 90013, 90014, 90015, 90023, 9000410, 9000411],
  ['entra_unavailable', TRANSIENT, 70012, 80001, 90006, 90012, 90024, 90033, 90036, 90055, 90090, 90091],
]

const MEANINGS: ReadonlyMap<number, Meaning> = new Map(
  ROWS.flatMap(([code, remedy, ...numbers]) => numbers.map((number) => [number, { code, remedy }] as const)),
)

export function meaningOf(aadsts: number): Meaning | undefined {
  return MEANINGS.get(aadsts)
}

/** The table, for documentation: in the order of the numbers. */
export function aadstsMeanings(): readonly (Meaning & { readonly number: number })[] {
  return [...MEANINGS].map(([number, meaning]) => ({ number, ...meaning })).sort((a, b) => a.number - b.number)
}
