// The configuration that `gatehouse init` writes: the answers, with a comment for each choice. Secrets are in separate
// files.
import type { Answers } from './answers.js'
import { commonDomain } from './answers.js'

/** The placeholder of the Application (client) ID; `check` warns of it. */
export const CLIENT_PLACEHOLDER = '00000000-0000-0000-0000-000000000000'

/** Below the folder of the configuration. */
export const SECRET_FILES = {
  client: 'secrets/client-secret',
  session: 'secrets/session-secrets',
  encryption: 'secrets/encryption-secrets',
  database: 'secrets/database-url',
} as const

export function configurationText(answers: Answers): string {
  return [
    `# Gatehouse, written by "gatehouse init". docs/configuration.md has every key; "gatehouse check" checks it.
# Relative paths count from the folder of this file.
`,
    serverSection(answers),
    connectionSections(answers),
    MAPPING_SECTIONS,
    accessSection(answers),
  ].join('\n')
}

const line = (setting: string, comment: string): string => `  ${setting.padEnd(38)} # ${comment}`

const hostsOf = ({ applications }: Answers): string[] => applications.map(({ host }) => host)

function serverSection(answers: Answers): string {
  const { port } = new URL(answers.publicUrl)
  const at = port === '' ? '' : `:${port}`
  return `server:
${line(`publicUrl: ${answers.publicUrl}`, "where browsers reach Gatehouse's own pages")}
  host: 127.0.0.1                        # where the proxy reaches it; 0.0.0.0 where the proxy is on another machine
  port: 4180
  trustedProxies: [loopback]             # the proxy's address; headers of any other sender are ignored
  redirectDomains:                       # where people may be sent after signing in
${hostsOf(answers).map((host) => `    - ${host}${at}\n`).join('')}\
  # contact: it-help@example.com         # shown to people who are refused
`
}

/** Entra ID, the database, sessions and keys. */
function connectionSections(answers: Answers): string {
  const { hostname } = new URL(answers.publicUrl)
  const domain = commonDomain([hostname, ...hostsOf(answers)]) ?? hostname
  return `entra:
${line(`tenantId: ${answers.tenant}`, 'Directory (tenant) ID')}
${line(`clientId: ${answers.client ?? CLIENT_PLACEHOLDER}`, 'Application (client) ID of the registration')}
${line(`clientSecretFile: ${SECRET_FILES.client}`, 'put the Value of the client secret there, not its ID')}

database:
${databaseText(answers)}
session:
${line(`secretsFile: ${SECRET_FILES.session}`, 'generated; one per line: put a new one first to rotate')}
${line(`cookieDomain: .${domain}`, 'the narrowest domain that holds Gatehouse and the applications')}

keys:
${line(`encryptionSecretsFile: ${SECRET_FILES.encryption}`, 'generated; belongs to every backup of the database')}
`
}

const MAPPING_SECTIONS =
  `# What membership in an Entra group grants here: local groups, staff, superuser. Until there is a row, users can sign
# in and have no group. A row names the group by its Object ID, which its page in the Entra admin center shows.
# Local groups must exist: gatehouse groups add "Network Engineers"
groupMapping: []
# groupMapping:
#   - entraGroup: 1a36bed9-3bdc-4970-ab66-faf9704e0af4
#     label: Network engineers             # shown in place of the Object ID
#     groups: [Network Engineers]
#     staff: true
#   - entraGroup: 7e0c2f41-95d6-4b1a-b0a7-2f6c1d9e3b58
#     groups: [Administrators]
#     staff: true
#     superuser: true                      # passes every access rule

# Guests of the tenant are refused. For this the ID token needs the optional claim acct; see app-registration.md.
# To let guests in, write guests: true.
authAllowed: { guests: false }
pipeline: [social_details, social_uid, auth_allowed, social_user, get_username, associate_by_email, create_user,
           associate_user, user_default_groups_handler, load_extra_data, user_details, azuread_map_groups]
`

function accessSection(answers: Answers): string {
  return `access:                                  # the first rule that matches decides; superusers pass every rule
  default: deny                          # hosts that no rule names
  rules:                                 # narrower ones: allow: { groups: [Network Engineers] }, { staff: true }
${hostsOf(answers).map((host) => `    - { hosts: [${host}], allow: authenticated }\n`).join('')}`
}

function databaseText({ database }: Answers): string {
  if (database !== undefined) {
    return `  urlFile: ${SECRET_FILES.database}          # the address is a secret: it holds the password\n`
  }
  return `  embedded: true                         # a PostgreSQL of Gatehouse's own, for one machine. Another one:
  dataDir: ./data                        # urlFile: ${SECRET_FILES.database} in place of these two lines
`
}
