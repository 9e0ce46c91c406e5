// The configuration that `gatehouse init` writes: what was answered, with a comment for each choice. Secrets are in
// files beside it.
import type { Answers } from './answers.js'
import { commonDomain } from './answers.js'

/** Stands where the Application (client) ID goes; `check` warns of it. */
export const CLIENT_AWAITED = '00000000-0000-0000-0000-000000000000'

/** Below the folder of the configuration. */
export const SECRET_FILES = {
  client: 'secrets/client-secret',
  session: 'secrets/session-secrets',
  encryption: 'secrets/encryption-secrets',
  database: 'secrets/database-url',
} as const

export function configurationText(answers: Answers): string {
  const { hostname, port } = new URL(answers.publicUrl)
  const at = port === '' ? '' : `:${port}`
  const domain = commonDomain([hostname, ...answers.applications.map(({ host }) => host)]) ?? hostname
  const hosts = answers.applications.map(({ host }) => host)
  return `# Gatehouse, written by "gatehouse init". docs/configuration.md has every key; "gatehouse check" judges it.
# Relative paths count from the folder of this file.

server:
${line(`publicUrl: ${answers.publicUrl}`, "where browsers reach Gatehouse's own pages")}
  host: 127.0.0.1                        # where the proxy reaches it; 0.0.0.0 where the proxy is on another machine
  port: 4180
  trustedProxies: [loopback]             # the proxy's address: what others say of a request does not count
  redirectDomains:                       # where people may be sent after signing in
${hosts.map((host) => `    - ${host}${at}\n`).join('')}\
  # contact: it-help@example.com         # shown to people who are refused

entra:
${line(`tenantId: ${answers.tenant}`, 'Directory (tenant) ID')}
${line(`clientId: ${answers.client ?? CLIENT_AWAITED}`, 'Application (client) ID of the registration')}
${line(`clientSecretFile: ${SECRET_FILES.client}`, 'put the Value of the client secret there, not its ID')}

database:
${databaseText(answers)}
session:
${line(`secretsFile: ${SECRET_FILES.session}`, 'generated; one a line: put a new one first to rotate')}
${line(`cookieDomain: .${domain}`, 'the narrowest domain that holds Gatehouse and the applications')}

keys:
${line(`encryptionSecretsFile: ${SECRET_FILES.encryption}`, 'generated; belongs to every backup of the database')}

# What membership in an Entra group grants here: local groups, staff, superuser. Until there is a row, people can sign
# in and have no group. A row names the group by its Object ID, which its page in the Entra admin center shows. Local
# groups must exist: gatehouse groups add "Network Engineers"
groupMapping: []
# groupMapping:
#   - entraGroup: 1a36bed9-3bdc-4970-ab66-faf9704e0af4
#     label: Network engineers             # what people read instead of the Object ID
#     groups: [Network Engineers]
#     staff: true
#   - entraGroup: 7e0c2f41-95d6-4b1a-b0a7-2f6c1d9e3b58
#     groups: [Administrators]
#     staff: true
#     superuser: true                      # passes every access rule

# Guests of the tenant are refused. The ID token needs the optional claim acct for it, as app-registration.md says.
# To let guests in, write guests: true.
authAllowed: { guests: false }
pipeline: [social_details, social_uid, auth_allowed, social_user, get_username, associate_by_email, create_user,
           associate_user, user_default_groups_handler, load_extra_data, user_details, azuread_map_groups]

access:                                  # the first rule that matches decides; superusers pass every rule
  default: deny                          # hosts that no rule names
  rules:                                 # narrower ones: allow: { groups: [Network Engineers] }, { staff: true }
${hosts.map((host) => `    - { hosts: [${host}], allow: authenticated }\n`).join('')}`
}

const line = (setting: string, comment: string): string => `  ${setting.padEnd(38)} # ${comment}`

function databaseText({ database }: Answers): string {
  if (database !== undefined) {
    return `  urlFile: ${SECRET_FILES.database}          # the address is a secret: it holds the password\n`
  }
  return `  embedded: true                         # a PostgreSQL of Gatehouse's own, for one machine. Another one:
  dataDir: ./data                        # urlFile: ${SECRET_FILES.database} in place of these two lines
`
}
