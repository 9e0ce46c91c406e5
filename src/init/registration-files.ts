// The registration that the configuration needs: in words, for the Azure CLI, and as the manifest that both come from.
import {
  GRAPH_APP_ID,
  OPTIONAL_CLAIMS,
  OPTIONAL_PERMISSIONS,
  registrationAddresses,
  SIGN_IN_PERMISSION,
} from '../core/registration.js'
import type { Answers } from './answers.js'
import { CLIENT_PLACEHOLDER, SECRET_FILES } from './configuration.js'

export const REGISTRATION_FILES = {
  words: 'app-registration.md',
  manifest: 'app-registration.json',
  script: 'app-registration.sh',
} as const

export const GRAPH_APPLICATIONS = 'https://graph.microsoft.com/v1.0/applications'

/** In the format of Microsoft Graph, which the manifest page of the admin center shows as well. */
export function registrationManifest({ publicUrl }: Answers): object {
  const { redirectUris, logoutUrl } = registrationAddresses(publicUrl)
  const claim = (name: string) => ({ name, essential: false })
  return {
    displayName: `Gatehouse (${new URL(publicUrl).host})`,
    signInAudience: 'AzureADMyOrg',
    web: {
      redirectUris,
      logoutUrl,
      implicitGrantSettings: { enableAccessTokenIssuance: false, enableIdTokenIssuance: false },
    },
    requiredResourceAccess: [{
      resourceAppId: GRAPH_APP_ID,
      resourceAccess: [{ id: SIGN_IN_PERMISSION.id, type: SIGN_IN_PERMISSION.type }],
    }],
    optionalClaims: { idToken: Object.keys(OPTIONAL_CLAIMS).map(claim), accessToken: [], saml2Token: [] },
  }
}

/** Creates the registration, or updates the one that the configuration names. May be run again. */
export function registrationScript({ tenant }: Answers): string {
  return [scriptHead(tenant), SCRIPT_REGISTRATION, SCRIPT_SECRET, SCRIPT_CONSENT].join('')
}

function scriptHead(tenant: string): string {
  return `#!/bin/sh
# Registers Gatehouse in Entra ID with the Azure CLI. It creates the registration from
# ${REGISTRATION_FILES.manifest}, or updates the one whose ID is in gatehouse.yaml.
# It creates a client secret if ${SECRET_FILES.client} is empty, and grants admin consent.
# The user who runs it must be allowed to do all three. It may be run again.
set -eu
umask 077
cd "$(dirname "$0")"
tenant=${tenant}
applications=${GRAPH_APPLICATIONS}

if [ "$(az account show --query tenantId --output tsv 2>/dev/null)" != "$tenant" ]; then
  echo "Sign in to this tenant first: az login --tenant $tenant --allow-no-subscriptions" >&2
  exit 1
fi
`
}

/** Creates the registration and its service principal, or updates them. */
const SCRIPT_REGISTRATION = `client=$(sed -n 's/^  clientId: \\([0-9a-f-]*\\).*/\\1/p' gatehouse.yaml)
if [ "$client" = ${CLIENT_PLACEHOLDER} ]; then
  client=$(az rest --method POST --uri "$applications" --headers Content-Type=application/json \\
    --body @${REGISTRATION_FILES.manifest} --query appId --output tsv)
  sed "s/^  clientId: ${CLIENT_PLACEHOLDER}/  clientId: $client/" gatehouse.yaml > gatehouse.yaml.new
  cat gatehouse.yaml.new > gatehouse.yaml
  rm gatehouse.yaml.new
else
  az rest --method PATCH --uri "$applications(appId='$client')" --headers Content-Type=application/json \\
    --body @${REGISTRATION_FILES.manifest} --output none
fi
az ad sp show --id "$client" --output none 2>/dev/null || az ad sp create --id "$client" --output none
`

const SCRIPT_SECRET = `if [ ! -s ${SECRET_FILES.client} ]; then
  secret=$(az ad app credential reset --id "$client" --append --display-name gatehouse --years 1 \\
    --query password --output tsv)
  printf '%s\\n' "$secret" > ${SECRET_FILES.client}
fi
`

const SCRIPT_CONSENT = `echo "Application (client) ID: $client"
if ! az ad app permission admin-consent --id "$client"; then
  echo "Admin consent was not granted. A new registration takes about a minute: then run this again, or" >&2
  echo "let an administrator open https://login.microsoftonline.com/$tenant/adminconsent?client_id=$client" >&2
  exit 1
fi
`

export function registrationWords(answers: Answers): string {
  return [WORDS_HEAD, stepsByHand(answers), optionalPermissions(answers)].join('')
}

const WORDS_HEAD = `# The registration of Gatehouse in Entra ID

With the [Azure CLI](https://learn.microsoft.com/cli/azure/), signed in to the tenant as a user who may register
applications and grant admin consent: \`sh ${REGISTRATION_FILES.script}\`. It sends \`${REGISTRATION_FILES.manifest}\`,
writes the client ID into \`gatehouse.yaml\` and the client secret into \`${SECRET_FILES.client}\`.

`

function stepsByHand({ publicUrl, client }: Answers): string {
  const { redirectUris: [signIn, signOut], logoutUrl } = registrationAddresses(publicUrl)
  const claims = Object.entries(OPTIONAL_CLAIMS).map(([name, purpose]) => `| \`${name}\` | ${purpose} |`)
  return `By hand, in the [Entra admin center](https://entra.microsoft.com) under **App registrations**:

1. ${client === undefined ? '**New registration**' : `The registration with the Application (client) ID \`${client}\``}:
   accounts in this organizational directory only (single tenant).
2. **Authentication**, platform **Web**: these two redirect URIs and no others, exactly so:
   - \`${signIn}\`
   - \`${signOut}\`
3. **Authentication**, front-channel logout URL: \`${logoutUrl}\`. Leave both boxes under "Implicit grant" off.
4. **API permissions**, Microsoft Graph, delegated: \`${SIGN_IN_PERMISSION.name}\` (\`${SIGN_IN_PERMISSION.id}\`), then
   **Grant admin consent**.
5. **Token configuration**, optional claims, token type **ID**:

   | claim | purpose |
   |---|---|
${claims.map((line) => `   ${line}`).join('\n')}

6. **Certificates & secrets**, new client secret: put its **Value** (not its ID) into \`${SECRET_FILES.client}\`.
7. **Overview**: the Application (client) ID is \`entra.clientId\` in \`gatehouse.yaml\`, the Directory (tenant) ID
   \`entra.tenantId\`.

`
}

function optionalPermissions({ client = 'CLIENT_ID' }: Answers): string {
  const permissions = OPTIONAL_PERMISSIONS.map(({ name, id, purpose }) => `| \`${name}\` | \`${id}\` | ${purpose} |`)
  const pairs = OPTIONAL_PERMISSIONS.slice(0, 2).map(({ id, type }) => `${id}=${type}`)
  return `Sign-ins need no other permission. Some functions need application permissions of Microsoft
Graph, each with admin consent:

| permission | ID | needed by |
|---|---|---|
${permissions.join('\n')}

\`\`\`sh
az ad app permission add --id ${client} --api ${GRAPH_APP_ID} --api-permissions \\
  ${pairs.join(' ')}
az ad app permission admin-consent --id ${client}
\`\`\`
`
}
