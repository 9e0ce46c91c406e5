// Directory objects as Graph writes them: every property when allowed and not selected otherwise, null names when not
// allowed.
import type { DirectoryObject, DirectoryUser } from '../../directory.js'
import type { AppRegistration } from '../types.js'

export type Properties = Record<string, unknown>

const CREATED = '2024-03-11T09:12:45Z'

function group(object: DirectoryObject): Properties {
  const { displayName, groupTypes = [] } = object
  const unified = groupTypes.includes('Unified')
  const dynamic = groupTypes.includes('DynamicMembership')
  const nickname = unified ? displayName.toLowerCase().replace(/[^a-z0-9]/g, '') : '00000000-0'
  return {
    id: object.id,
    deletedDateTime: null,
    classification: null,
    createdDateTime: CREATED,
    creationOptions: [],
    description: displayName,
    displayName,
    expirationDateTime: null,
    groupTypes,
    isAssignableToRole: null,
    mail: unified ? `${nickname}@contoso.example` : null,
    mailEnabled: unified,
    mailNickname: nickname,
    membershipRule: dynamic ? '(user.department -eq "NOC")' : null,
    membershipRuleProcessingState: dynamic ? 'On' : null,
    onPremisesDomainName: null,
    onPremisesLastSyncDateTime: null,
    onPremisesNetBiosName: null,
    onPremisesSamAccountName: null,
    onPremisesSecurityIdentifier: null,
    onPremisesSyncEnabled: null,
    preferredDataLocation: null,
    preferredLanguage: null,
    proxyAddresses: unified ? [`SMTP:${nickname}@contoso.example`] : [],
    renewedDateTime: CREATED,
    resourceBehaviorOptions: [],
    resourceProvisioningOptions: [],
    securityEnabled: object.securityEnabled ?? false,
    securityIdentifier: securityIdentifier(object.id),
    theme: null,
    uniqueName: null,
    visibility: object.visibility ?? (unified ? 'Public' : null),
    onPremisesProvisioningErrors: [],
    serviceProvisioningErrors: [],
  }
}

/** The four little-endian words of the GUID, as Entra derives it. */
function securityIdentifier(id: string) {
  const hex = Buffer.from(id.replaceAll('-', ''), 'hex')
  return `S-1-12-1-${hex.readUInt32BE(0)}-${((hex.readUInt16BE(6) << 16) >>> 0) + hex.readUInt16BE(4)}-${
    hex.readUInt32LE(8)
  }-${hex.readUInt32LE(12)}`
}

const limitedGroup = (id: string): Properties => ({
  id,
  deletedDateTime: null,
  classification: null,
  createdDateTime: null,
  creationOptions: [],
  description: null,
  displayName: null,
  expirationDateTime: null,
  groupTypes: [],
  isAssignableToRole: null,
  mail: null,
  mailEnabled: null,
  mailNickname: null,
  membershipRule: null,
  membershipRuleProcessingState: null,
  securityEnabled: null,
  visibility: null,
})

export function objectProperties(object: DirectoryObject, details: boolean): Properties {
  const { id, displayName } = object
  switch (object.type) {
    case 'group':
      return details ? group(object) : limitedGroup(id)
    case 'directoryRole':
      return {
        id,
        deletedDateTime: null,
        description: details ? displayName : null,
        displayName: details ? displayName : null,
        roleTemplateId: details ? '88d8e3e3-8f55-4a1e-953a-9b9898b8876b' : null,
      }
    case 'administrativeUnit':
      return {
        id,
        deletedDateTime: null,
        displayName: details ? displayName : null,
        description: details ? displayName : null,
        visibility: null,
        isMemberManagementRestricted: null,
      }
  }
}

/** What a user has without `$select`. */
const defaultOfUser = (user: DirectoryUser): Properties => ({
  businessPhones: [],
  displayName: user.displayName,
  givenName: user.givenName ?? null,
  jobTitle: null,
  mail: user.mail ?? null,
  mobilePhone: null,
  officeLocation: null,
  preferredLanguage: null,
  surname: user.surname ?? null,
  userPrincipalName: user.userPrincipalName,
  id: user.id,
})

/**
 * `signInSessionsValidFromDateTime` and others come only when selected. Undefined for a property that users do not
 * have.
 */
export function userProperties(user: DirectoryUser, select: readonly string[]): Properties | undefined {
  if (select.length === 0) return defaultOfUser(user)
  const all: Properties = {
    ...defaultOfUser(user),
    accountEnabled: user.accountEnabled,
    userType: user.userType,
    signInSessionsValidFromDateTime: user.signInSessionsValidFromDateTime,
    otherMails: user.externalEmail === undefined ? [] : [user.externalEmail],
    createdDateTime: CREATED,
    deletedDateTime: null,
  }
  return select.every((name) => name in all) ? Object.fromEntries(select.map((name) => [name, all[name]])) : undefined
}

export const odataType = (object: DirectoryObject) => `#microsoft.graph.${object.type}`

/** Never the secret itself: its first characters are all that Graph shows. */
export function applicationProperties(app: AppRegistration): Properties {
  return {
    id: 'f0000000-0000-4000-8000-0000000000a0',
    appId: app.clientId,
    displayName: app.displayName ?? 'Gatehouse',
    signInAudience: app.signInAudience ?? 'AzureADMyOrg',
    web: {
      homePageUrl: null,
      logoutUrl: app.frontChannelLogoutUrl ?? null,
      redirectUris: app.redirectUris,
      implicitGrantSettings: { enableAccessTokenIssuance: false, enableIdTokenIssuance: false },
    },
    optionalClaims: {
      idToken: app.optionalClaims.map((name) => ({ name, source: null, essential: false, additionalProperties: [] })),
      accessToken: [],
      saml2Token: [],
    },
    passwordCredentials: app.secrets.map(({ id, value, expiresAt }) => ({
      customKeyIdentifier: null,
      displayName: 'gatehouse',
      endDateTime: new Date(expiresAt ?? Date.UTC(2030, 0)).toISOString(),
      hint: value.slice(0, 3),
      keyId: id,
      secretText: null,
      startDateTime: CREATED,
    })),
  }
}
