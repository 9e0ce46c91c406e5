// The part of docs/configuration.md that holds for every key, which the schema cannot say.

export function preface(): string {
  return `<!-- Generated from src/config by scripts/generate-config-docs.mjs: change it there. -->

# Configuration

Gatehouse reads one YAML 1.2 file (UTF-8, at most 1 MB, one document): \`--config FILE\`, else \`GATEHOUSE_CONFIG\`,
else
\`config/gatehouse.yaml\`. \`gatehouse init\` writes one, \`config/gatehouse.example.yaml\` shows more of what is
possible, and
\`gatehouse check\` judges yours. An editor with a YAML language server completes and checks keys when the file begins
with \`# yaml-language-server: $schema=gatehouse.schema.json\`.

## Variables

In values, never in keys, and after the YAML has been read:

| written | becomes |
|---|---|
| \`\${NAME}\` | the environment variable NAME, empty if it is set but empty; an error if it is not set |
| \`\${NAME:-text}\` | NAME, or \`text\` if NAME is not set or empty |
| \`$\${\` | a literal \`\${\` |

What a variable holds is text: line breaks, colons and \`#\` in it mean nothing. A value that is nothing but one
variable may stand for a number
or for true and false. Inside \`[ ]\` and \`{ }\`, YAML needs quotes around it: \`secrets: ["\${SESSION_SECRET}"]\`.
References are not nested.

## Secrets in files

Every secret has a twin that names a file instead: \`clientSecretFile\`, \`urlFile\`, \`secretsFile\`,
\`encryptionSecretsFile\`. The file holds the secret alone (for a list: one secret a line); the line break at its end
does
not count. Giving both is an error. A file that every user of the machine may read or change is warned of, and so is a
configuration that every user may change. No message ever shows a secret, nor what a variable stands for.

White space around a secret never belongs to it: blanks and line breaks before and after it are left out, whether the
secret stands in the configuration, in a variable or in a file, and \`gatehouse check\` warns of them. It also warns of
quotation marks around a secret (they stay a part of it; many programs that read files of variables keep them), of a
\`\\n\` written out at its end, and of invisible characters in it.

\`session.secrets\` and \`keys.encryptionSecrets\` must have 32 characters, must not be the text of an example, and must
not be easy to guess: fewer than 8 different characters, one text repeated, or a row of neighbours (\`abcd\`, \`4321\`)
are refused. \`openssl rand -base64 48\` makes a good one.

## The link to the database

\`database.url\` is an address of libpq's: \`postgres://user:password@host:5432/database?sslmode=verify-full\`. In user
and
password percent-encode \`@ : / ? #\` and \`%\`.

| \`sslmode\` | TLS | the server's certificate |
|---|---|---|
| \`disable\` | never | |
| \`allow\` | where the server lets nobody in without | not verified |
| \`prefer\` (without \`sslmode\`) | where the server has it | not verified |
| \`require\` | always | not verified; with a root certificate as \`verify-ca\` |
| \`verify-ca\` | always | signed by a trusted authority |
| \`verify-full\` | always | signed by a trusted authority, for the host in the address |

Trusted are the authorities in \`database.caFile\` or \`sslrootcert\` (PEM), else the public ones that Node.js knows;
libpq's
\`~/.postgresql/root.crt\` is not read. \`database.caFile\` without \`sslmode\` means \`verify-full\`. \`sslcert\` and
\`sslkey\`
are the certificate that Gatehouse shows. A Unix socket (\`?host=/run/postgresql\`) has no TLS. \`PGSSLMODE\` and its
like count
where the address says nothing. \`gatehouse doctor\` says what came of it, and warns where nothing is encrypted off
this machine.

## Values

- A duration is a whole number and a unit: \`500ms\`, \`15s\`, \`5m\`, \`8h\`, \`90d\`.
- An ID is a GUID of 8-4-4-4-12 hexadecimal digits, in upper or lower case. A display name is never an ID.
- A network is an address (\`10.0.0.7\`), a CIDR range (\`10.0.0.0/8\`, \`fd00::/8\`) or \`loopback\`, \`linklocal\`,
\`uniquelocal\`.
- A redirect domain is \`host\`, \`.suffix\` (every host below it), \`host:port\` or \`host:*\`; without a port, the
scheme's own port alone.
- A host pattern of an access rule is \`host\` or \`*.suffix\` (not the suffix itself), either with \`:port\`; without
one, every port.
- A path pattern begins with \`/\`; \`*\` stands for one segment, a last \`**\` for any number of them.
- Relative paths (\`caFile\`, \`dataDir\`, \`...File\`) count from the directory of the configuration file.
- Anchors, aliases and merge keys (\`<<\`) may be used.

## How problems are reported

All at once, each with its place and what to do; the configuration is in force as a whole or not at all (exit code 78):

\`\`\`text
config/gatehouse.yaml:14:17: groupMapping[0].entraGroup is "Network Engineers", which looks like a display name.
    Use the Object ID: names can be changed and given twice.
\`\`\`

Rows are counted from 0 in such names. Unknown keys are errors, with the nearest known name. Warnings do not keep
Gatehouse from starting:
an empty row of the mapping, no row that makes superusers, hosts that the session cookie does not reach (their visitors
would sign in forever),
group names that are nearly the same, values that are still those of the example.`
}
