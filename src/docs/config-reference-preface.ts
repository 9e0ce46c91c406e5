// The part of docs/configuration.md that does not follow from the schema.

const INTRODUCTION = `<!-- Generated from src/config by scripts/generate-config-docs.mjs: change it there. -->

# Configuration

Gatehouse reads one YAML 1.2 file (UTF-8, at most 1 MB, one document).
Its path is that of \`--config FILE\`, else of \`GATEHOUSE_CONFIG\`, else \`config/gatehouse.yaml\`.
\`gatehouse init\` writes a configuration, \`config/gatehouse.example.yaml\` shows more keys, and \`gatehouse check\`
validates a file.
An editor with a YAML language server completes and checks keys when the file begins with
\`# yaml-language-server: $schema=gatehouse.schema.json\`.`

const VARIABLES = `## Variables

Variables are replaced in values, never in keys, and after the YAML has been parsed:

| written | becomes |
|---|---|
| \`\${NAME}\` | the environment variable NAME, empty if it is set but empty; an error if it is not set |
| \`\${NAME:-text}\` | NAME, or \`text\` if NAME is not set or empty |
| \`$\${\` | a literal \`\${\` |

The value of a variable is text: line breaks, colons and \`#\` in it have no meaning.
A value that consists of exactly one variable can be a number or true or false.
Inside \`[ ]\` and \`{ }\`, YAML needs quotes around it: \`secrets: ["\${SESSION_SECRET}"]\`.
References are not nested.`

const SECRET_FILES = `## Secrets in files

Every secret has a twin key that names a file instead: \`clientSecretFile\`, \`urlFile\`, \`secretsFile\`,
\`encryptionSecretsFile\`.
The file contains only the secret (for a list: one secret a line); the line break at its end is ignored.
Giving both keys is an error.
Gatehouse warns of a secret file that every user of the machine may read or change, and of a configuration that every
user may change.
No message ever shows a secret or the value of a variable.
The admin console, its API, the commands and the log show text of the policy that comes out of a variable as
\`\${NAME}\`, without a default; the label of a mapping row is also recorded so.

White space around a secret is never part of it: spaces and line breaks before and after it are removed, whether the
secret is in the configuration, in a variable or in a file, and \`gatehouse check\` warns of them.
It also warns of quotation marks around a secret (they remain part of it; many programs that read environment files
keep them), of a literal \`\\n\` at its end, and of invisible characters in it.

\`session.secrets\` and \`keys.encryptionSecrets\` must have at least 32 characters, must not be the text of an example,
and must not be easy to guess.
Fewer than 8 different characters, one text repeated, and a sequence of neighbours (\`abcd\`, \`4321\`) are refused.
\`openssl rand -base64 48\` generates a suitable secret.`

const DATABASE = `## The connection to the database

\`database.url\` is an address as libpq reads it:
\`postgres://user:password@host:5432/database?sslmode=verify-full\`.
In user and password percent-encode \`@ : / ? #\` and \`%\`.

| \`sslmode\` | TLS | the server's certificate |
|---|---|---|
| \`disable\` | never | |
| \`allow\` | if the server refuses connections without TLS | not verified |
| \`prefer\` (without \`sslmode\`) | if the server supports it | not verified |
| \`require\` | always | not verified; with a root certificate as \`verify-ca\` |
| \`verify-ca\` | always | signed by a trusted authority |
| \`verify-full\` | always | signed by a trusted authority, for the host in the address |

The trusted authorities are those in \`database.caFile\` or \`sslrootcert\` (PEM), else the public ones that Node.js
includes; libpq's \`~/.postgresql/root.crt\` is not read.
\`database.caFile\` without \`sslmode\` means \`verify-full\`.
\`sslcert\` and \`sslkey\` are the client certificate of Gatehouse.
A Unix socket (\`?host=/run/postgresql\`, in a list \`%2Frun%2Fpostgresql\`) has no TLS.
Without a password in the address or \`PGPASSWORD\`, libpq's password file is read for each connection: \`passfile\` in
the address, else \`PGPASSFILE\`, else \`~/.pgpass\`, with a line for each host of a list.
As for libpq, a file that the group or others may read is ignored.
User, database, password, TLS and the other parameters hold for every host of a list.
Not taken are libpq's \`hostaddr\`, \`load_balance_hosts\`, \`service\`, \`sslcrl\`, \`sslpassword\`,
\`channel_binding\`, \`gssencmode\`, \`krbsrvname\`, and \`require_auth\` but for \`scram-sha-256\`.
\`PGSSLMODE\` and the other variables of libpq apply to what the address leaves out.
\`gatehouse doctor\` reports the resulting mode, and warns if a connection to another machine is not encrypted.`

const VALUES = `## Values

- A duration is a whole number and a unit: \`500ms\`, \`15s\`, \`5m\`, \`8h\`, \`90d\`.
- An ID is a GUID of 8-4-4-4-12 hexadecimal digits, in upper or lower case. A display name is never an ID.
- A network is an address (\`10.0.0.7\`), a CIDR range (\`10.0.0.0/8\`, \`fd00::/8\`) or \`loopback\`, \`linklocal\`,
  \`uniquelocal\`.
- A redirect domain is \`host\`, \`.suffix\` (every host below it), \`host:port\` or \`host:*\`; without a port,
  only the default port of the scheme.
- A host pattern of an access rule is \`host\` or \`*.suffix\` (not the suffix itself), either with \`:port\`; without
  one, every port.
- A path pattern begins with \`/\`; \`*\` stands for one segment, a last \`**\` for any number of them.
- Relative paths (\`caFile\`, \`dataDir\`, \`...File\`) are relative to the directory of the configuration file.
- Anchors, aliases and merge keys (\`<<\`) may be used.`

const PROBLEMS = `## How problems are reported

All problems are reported together, each with its position and a remedy.
A configuration is applied as a whole or not at all (exit code 78):

\`\`\`text
config/gatehouse.yaml:14:17: groupMapping[0].entraGroup is "Network Engineers", which looks like a display name.
    Use the Object ID: names can be changed and given twice.
\`\`\`

Rows are counted from 0 in such names.
Unknown keys are errors, with the most similar known name.
Warnings do not keep Gatehouse from starting: for example an empty row of the mapping, no row that grants superuser,
hosts that the session cookie does not reach (their visitors would sign in again and again), group names that are
nearly the same, and values that are still those of the example.`

export const CONFIG_REFERENCE_PREFACE = [INTRODUCTION, VARIABLES, SECRET_FILES, DATABASE, VALUES, PROBLEMS].join('\n\n')
