// The keys about the gateway itself: where it listens, whom it asks, where it keeps things, how long sessions last.
import { EXPORT_FORMATS } from '../core/audit-export.js'
import { Type } from './schema-types.js'
import { choice, count, countOr, duration, flag, leaf, list, secret, section } from './schema-parts.js'

/** More do not help: the process that accepts the connections is busy then. */
const MAX_WORKERS = 64

export const serverSection = section('Where browsers and proxies reach Gatehouse.', {
  publicUrl: leaf('publicUrl', 'The origin where browsers reach Gatehouse: https unless loopback, without a path.'),
  host: leaf('listenHost', 'The address to listen on.', { default: '0.0.0.0' }),
  port: count('The port to listen on; 0 lets the system choose.', { minimum: 0, maximum: 65535, default: 4180 }),
  trustedProxies: list(
    leaf('network', 'An address, a CIDR range, or loopback, linklocal, uniquelocal.'),
    'The proxies whose X-Forwarded-* and X-Original-* headers count: addresses, CIDR ranges, or loopback, linklocal, ' +
      'uniquelocal.',
    { default: ['loopback'] },
  ),
  authRequestHeaders: choice(
    ['original', 'forwarded'],
    'The headers that name the target on /oauth2/auth: X-Original-* (original) or X-Forwarded-* (forwarded).',
    { default: 'original' },
  ),
  redirectDomains: list(
    leaf('redirectDomain', 'A host, .suffix, host:port or host:*.'),
    'Where `rd` may lead besides publicUrl: `host`, `.suffix`, `host:port`, `host:*`.',
    { default: [] },
  ),
  management: section('The listener of /healthz, /readyz and /metrics, never the public one.', {
    host: leaf('listenHost', 'The address of the management listener.', { default: '127.0.0.1' }),
    port: count('The port of the management listener; 0 lets the system choose.', {
      minimum: 0,
      maximum: 65535,
      default: 4181,
    }),
  }),
  contact: Type.Optional(
    leaf('text', 'Whom people may ask who are refused: an e-mail address, a web address or a short text.', {
      maxLength: 200,
    }),
  ),
  rateLimit: count(
    'Requests a minute and client address on start, callback, sign-out and front-channel logout; more get 429.',
    { minimum: 1, maximum: 100_000, default: 120 },
  ),
  workers: countOr(
    'auto',
    'Processes that share the port, each a replica with its part of database.poolSize; `auto`: one for each CPU. ' +
      'Limits and log.budget hold for all of them together.',
    { minimum: 1, maximum: MAX_WORKERS, default: 1 },
  ),
})

const certificateSection = section(
  'The certificate that Gatehouse proves itself with, in place of a client secret; both files are read for every ' +
    'token request.',
  {
    keyFile: leaf('path', 'The private key, as a PEM file: RSA, at least 2048 bits, without a passphrase.'),
    certFile: leaf('path', 'The certificate that is registered in Entra ID, as a PEM file.'),
    algorithm: choice(
      ['PS256', 'RS256'],
      'The algorithm of the client assertion: PS256 with x5t#S256, or RS256 with x5t for what knows nothing newer.',
      { default: 'PS256' },
    ),
  },
)

export const entraSection = section(
  'The registration in Microsoft Entra ID, and how Entra ID and Microsoft Graph are reached.',
  {
    tenantId: leaf(
      'tenant',
      'The Directory (tenant) ID; `common` or `organizations` only together with allowedTenants.',
    ),
    allowedTenants: list(
      leaf('guid', 'A Directory (tenant) ID.'),
      'The tenants whose people may sign in, where tenantId is `common` or `organizations`.',
      { default: [] },
    ),
    clientId: leaf('guid', 'The Application (client) ID.'),
    clientSecret: Type.Optional(
      secret(
        leaf(
          'secret',
          'The value (not the ID) of the client secret; exactly one of clientSecret, certificate and ' +
            'federatedTokenFile is given.',
        ),
      ),
    ),
    certificate: Type.Optional(certificateSection),
    federatedTokenFile: Type.Optional(
      leaf(
        'readablePath',
        'The file of the workload identity token, in place of a client secret; read for every token request.',
      ),
    ),
    cloud: choice(['global', 'usgov', 'usgov-dod', 'china'], 'The Microsoft cloud that the tenant lives in.', {
      default: 'global',
    }),
    authorityHost: Type.Optional(
      leaf('upstream', "The origin of the login service in place of the cloud's own, for tests and private links."),
    ),
    graphUrl: Type.Optional(
      leaf(
        'upstream',
        "The origin of Microsoft Graph in place of the cloud's own; also the prefix of the Graph scopes.",
      ),
    ),
    allowHttp: flag(
      'Lets authorityHost and graphUrl be http, on loopback and private addresses alone; for tests.',
      false,
    ),
    caFile: Type.Optional(
      leaf('readablePath', 'Certificates (PEM) to trust besides the usual ones when Entra ID and Graph are asked.'),
    ),
    membershipPath: choice(
      ['users', 'me'],
      'Which Graph path lists the memberships: /users/{oid}/transitiveMemberOf or /me/transitiveMemberOf.',
      { default: 'users' },
    ),
    securityGroupsOnly: flag('Lets security groups alone count; needs GroupMember.Read.All.', false),
    loginBudget: duration('Everything Entra ID and Graph may take of one login.', {
      min: '1s',
      max: '5m',
      default: '15s',
    }),
  },
)

export const databaseSection = section(
  'The PostgreSQL database: either url (or urlFile) or embedded: true must be given.',
  {
    url: Type.Optional(
      secret(
        leaf(
          'databaseUrl',
          'The address of the database, postgres://user:password@host:port/name; `sslmode` and `sslrootcert` as ' +
            'libpq has them (without sslmode: prefer). Several hosts of one cluster: host:port,host:port.',
        ),
      ),
    ),
    directUrl: Type.Optional(
      secret(
        leaf(
          'databaseUrl',
          'The address of the same database past a connection pooler, with one host or several: for the check which ' +
            'server is the primary, for the change feed and for locks. Without it they use url.',
        ),
      ),
    ),
    caFile: Type.Optional(
      leaf(
        'readablePath',
        "Certificates (PEM) of the authorities that sign the database server's certificate; without `sslmode` in url " +
          'it means verify-full.',
      ),
    ),
    embedded: flag('Runs an embedded PostgreSQL in dataDir instead of using url; for one machine.', false),
    dataDir: leaf('path', 'The directory of the embedded PostgreSQL.', { default: './data' }),
    onLostHistory: choice(
      ['reapply', 'endSessions'],
      'Where the database has lost acknowledged changes (a failover with asynchronous replication, a restore): what ' +
        'was taken away lately is taken away again, or all sessions end as well. They also end where it is not known.',
      { default: 'reapply' },
    ),
    poolSize: count('The number of database connections, of all workers together.', {
      minimum: 1,
      maximum: 1000,
      default: 10,
    }),
  },
)

export const sessionSection = section('How long users stay signed in, and the session cookie.', {
  secrets: secret(
    list(
      leaf('strongSecret', 'A secret of at least 32 characters.'),
      'Secrets of at least 32 characters: the first one signs, all verify, so that they can be rotated.',
      { minItems: 1 },
    ),
  ),
  cookieDomain: Type.Optional(
    leaf(
      'cookieDomain',
      "The narrowest domain that holds the applications; without it the cookie stays on publicUrl's host.",
    ),
  ),
  idleTimeout: duration(
    'A session that is not used for so long is over. A use is recorded once the last record is older than a tenth of ' +
      'this time, so that a session may be over up to a tenth earlier, never later.',
    { min: '1s', max: '90d', default: '8h' },
  ),
  absoluteTimeout: duration('A session is over so long after the sign-in, used or not.', {
    min: '1s',
    max: '90d',
    default: '24h',
  }),
  privilegedTimeout: Type.Optional(
    duration('Staff and superusers sign in again after this time.', { min: '1s', max: '90d' }),
  ),
  outageGrace: duration(
    'How long warm sessions go on while the database is unreachable; never for staff and superusers.',
    { min: '0s', max: '15m', default: '60s' },
  ),
  maxPerUser: count(
    'Active sessions of one user: a sign-in that would create more ends the oldest of them.',
    { minimum: 1, maximum: 10_000, default: 50 },
  ),
  recordClient: flag(
    'Records browser family, client address and host of the last use of each session, for `gatehouse sessions list`.',
    false,
  ),
  cacheSize: count(
    'Sessions that a process keeps in memory, about 2 kB each; the least recently used are dropped for others, and ' +
      'are read from the database again.',
    { minimum: 1_000, maximum: 2_000_000, default: 200_000 },
  ),
  identityCookie: flag(
    'Adds a signed JWT cookie (10 minutes, audience cookieDomain) that applications can verify offline.',
    false,
  ),
})

export const keysSection = section('The keys that sign assertions, which are kept sealed in the database.', {
  encryptionSecrets: secret(
    list(
      leaf('strongSecret', 'A secret of at least 32 characters.'),
      'Secrets of at least 32 characters that seal the signing keys, other ones than session.secrets: the first one ' +
        'seals, all open.',
      { minItems: 1 },
    ),
  ),
  rotateEvery: duration('How often a new signing key takes over.', { min: '1d', max: '400d', default: '90d' }),
})

const exportSection = section(
  'Sends every event of the audit to a receiver, at least once; absent: no export. Read at the start.',
  {
    url: leaf(
      'exportUrl',
      'Where events are sent. webhook and otlp: https, or http on loopback; syslog: syslog+tls://HOST:PORT or ' +
        'syslog+tcp://HOST:PORT. For otlp an address without a path is a base, to which /v1/logs is added.',
    ),
    format: choice(
      EXPORT_FORMATS,
      'webhook: JSON, signed after Standard Webhooks; syslog: RFC 5424 over TLS or TCP; otlp: logs of OpenTelemetry ' +
        'over HTTP.',
    ),
    secret: Type.Optional(
      secret(
        leaf(
          'secret',
          'webhook: the key of the signatures, 24 to 64 bytes as base64, with or without whsec_ before it; otlp: the ' +
            'bearer token, if the receiver wants one.',
        ),
      ),
    ),
  },
)

export const auditSection = section('The record of logins and changes.', {
  retention: duration(
    'How long the record is kept: from 90d on to the end of a month, so that a row may be kept for up to 31 days ' +
      'longer; below that to the row.',
    { min: '1d', max: '3650d', default: '400d' },
  ),
  export: Type.Optional(exportSection),
})

export const adminSection = section('The admin console at /admin and its API; both are off without this section.', {
  stepUp: duration('Acts that change rights or the policy need a sign-in that is not older than this.', {
    min: '1s',
    max: '1d',
    default: '10m',
  }),
  acrs: Type.Optional(
    leaf(
      'authenticationContext',
      'The authentication context of Conditional Access that this sign-in must have as well; a policy of Entra ID ' +
        'must require it.',
    ),
  ),
  networks: list(
    leaf('network', 'An address, a CIDR range, or loopback, linklocal, uniquelocal.'),
    'Only clients in these networks reach the console and its API; empty: all.',
    { default: [] },
  ),
  approvals: count(
    'Approvals of other administrators that a deploy or a rollback in the console and its API needs, where ' +
      'policy.source is database. Commands need none.',
    { minimum: 0, maximum: 20, default: 0 },
  ),
  tokenDeploy: flag(
    'API tokens may deploy drafts of the policy, where policy.source is database; with approvals they always may.',
    false,
  ),
})

export const logSection = section('What Gatehouse writes to standard output.', {
  level: choice(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    'The least severe lines that are written.',
    { default: 'info' },
  ),
  format: choice(
    ['auto', 'json', 'text'],
    'One JSON object a line, or text for people; `auto`: text where standard output is a terminal, else JSON.',
    { default: 'auto' },
  ),
  access: choice(
    ['denied', 'all', 'none'],
    "Which answers to a proxy's question are logged; refusals within `log.budget`.",
    { default: 'denied' },
  ),
  budget: count(
    'Log lines a second for everything that is refused; the rest is counted, in one line a second and in the metrics.',
    { minimum: 1, maximum: 10_000, default: 50 },
  ),
})
