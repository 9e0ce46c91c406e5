// What the app registration in Entra ID must contain: one list for `init`, which writes it, and `doctor`, which checks
// it.

/** learn.microsoft.com, "Microsoft Graph permissions reference"; the application that grants them is Graph itself. */
export const GRAPH_APP_ID = '00000003-0000-0000-c000-000000000000'

export interface GraphPermission {
  readonly name: string
  readonly id: string
  /** Scope: on behalf of the person who signs in (delegated). Role: of Gatehouse itself (application). */
  readonly type: 'Scope' | 'Role'
  readonly purpose: string
}

/** The only permission that a sign-in needs. */
export const SIGN_IN_PERMISSION: GraphPermission = {
  name: 'User.Read',
  id: 'e1fe6dd8-ba31-4d61-89e7-88639da4683d',
  type: 'Scope',
  purpose: 'signs people in and reads their own groups',
}

export const OPTIONAL_PERMISSIONS: readonly GraphPermission[] = [
  {
    name: 'User.Read.All',
    id: 'df021288-bdef-4463-88db-98f22de89214',
    type: 'Role',
    purpose: '`sync`, `explain USER` and `explain --with FILE --live`',
  },
  {
    name: 'GroupMember.Read.All',
    id: '98830695-27a2-44f7-8c18-0c3ebc9698f6',
    type: 'Role',
    purpose: 'the same, and what `check` reports about groups that make superusers',
  },
  {
    name: 'Member.Read.Hidden',
    id: '658aa5d8-239f-45c4-aa12-864f4fc7e490',
    type: 'Role',
    purpose: '`sync` and `explain`, where a group of the mapping has hidden membership',
  },
  {
    name: 'Application.Read.All',
    id: '9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30',
    type: 'Role',
    purpose: '`doctor` then looks at this registration by itself',
  },
]

/** Claims of the ID token and the purpose of each; docs/group-mapping.md describes the behaviour without them. */
export const OPTIONAL_CLAIMS = {
  email: 'the address in headers and pages',
  upn: 'the username of members',
  sid: 'ending the right session when the user signs out of Microsoft',
  auth_time: 'the admin console: whether a user has just signed in',
  login_hint: 'signing out without picking the account once more',
  xms_edov: 'whether the domain of the e-mail address is verified',
  acct: 'whether the user is a guest; without it no one can sign in where guests are refused',
  given_name: 'the first name in the profile',
  family_name: 'the last name in the profile',
} as const

export type OptionalClaim = keyof typeof OPTIONAL_CLAIMS

export const CLAIM_NAMES = Object.keys(OPTIONAL_CLAIMS) as readonly OptionalClaim[]

export interface RegistrationAddresses {
  /** Entra ID redirects here after a sign-in and after a sign-out: compared exactly, in this order. */
  readonly redirectUris: readonly [signIn: string, signOut: string]
  readonly logoutUrl: string
}

/** @param publicUrl the origin of Gatehouse's own pages */
export function registrationAddresses(publicUrl: string): RegistrationAddresses {
  return {
    redirectUris: [`${publicUrl}/oauth2/callback`, `${publicUrl}/oauth2/sign_in`],
    logoutUrl: `${publicUrl}/oauth2/frontchannel-logout`,
  }
}
