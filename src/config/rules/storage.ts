// Times that bound one another, secrets with one purpose each, and one database.
import { parseDatabaseUrl } from '../../core/database-address.js'
import { entries, type Rule } from './rule.js'

export const sessionTimes: Rule = ({ session }, report) => {
  const { idleTimeoutMs, absoluteTimeoutMs, privilegedTimeoutMs } = session ?? {}
  if (absoluteTimeoutMs === undefined) return
  const bound = (name: string, value: number | undefined) => {
    const path = report.given(`session.${name}`) ? `session.${name}` : 'session.absoluteTimeout'
    if (value !== undefined && value > absoluteTimeoutMs) {
      report.problem(
        path,
        'timeout_order',
        `session.${name} is longer than session.absoluteTimeout.`,
        'No session outlives absoluteTimeout: shorten the one or lengthen the other.',
      )
    }
  }
  bound('idleTimeout', idleTimeoutMs)
  bound('privilegedTimeout', privilegedTimeoutMs)
}

export const syncTimes: Rule = ({ sync }, report) => {
  const { intervalMs, privilegedStalenessMs, maxStalenessMs } = sync ?? {}
  const order = (name: string, shorter: number | undefined, longerName: string, longer: number | undefined) => {
    if (shorter !== undefined && longer !== undefined && shorter > longer) {
      report.problem(
        report.given(`sync.${name}`) ? `sync.${name}` : `sync.${longerName}`,
        'timeout_order',
        `sync.${name} is longer than sync.${longerName}.`,
        'Shorten the one or lengthen the other.',
      )
    }
  }
  order('interval', intervalMs, 'privilegedStaleness', privilegedStalenessMs)
  order('privilegedStaleness', privilegedStalenessMs, 'maxStaleness', maxStalenessMs)
  const tight = (name: string, value: number | undefined) => {
    // guard: sync-staleness-tight
    if (value !== undefined && intervalMs !== undefined && value >= intervalMs && value < 2 * intervalMs) {
      report.warn(
        report.given(`sync.${name}`) ? `sync.${name}` : 'sync.interval',
        'sync_staleness_tight',
        `sync.${name} is less than two of sync.interval.`,
        'One answer of Graph that is late takes flags or sessions from people: make it twice the interval, or more.',
      )
    }
  }
  tight('privilegedStaleness', privilegedStalenessMs)
  tight('maxStaleness', maxStalenessMs)
}

/** One secret for two purposes: a leak on one side compromises the other as well. */
export const secretsApart: Rule = ({ session, keys }, report) => {
  const path = report.given('keys.encryptionSecretsFile') ? 'keys.encryptionSecretsFile' : undefined
  for (const own of entries(keys?.encryptionSecrets, 'keys.encryptionSecrets')) {
    if (session?.secrets?.includes(own.item)) {
      report.problem(
        path ?? own.path,
        'secret_shared',
        `${path ?? own.path} has a secret that is also in session.secrets.`,
        'Make another one with: openssl rand -base64 48',
      )
    }
  }
}

/** The texts of docker-compose.yml are public: right for the demo on this machine, and nowhere else. */
export const secretsOfDemo: Rule = ({ server, session, keys, entra }, report) => {
  if (!server?.publicUrl?.startsWith('https:')) return
  const lists = {
    'session.secrets': session?.secrets,
    'keys.encryptionSecrets': keys?.encryptionSecrets,
    'entra.clientSecret': [entra?.clientSecret],
  }
  for (const [name, list] of Object.entries(lists)) {
    if (!list?.some((item) => item?.includes('not-for-production'))) continue // guard: adv-secret-of-demo
    const path = report.given(`${name}File`) ? `${name}File` : name
    report.problem(
      path,
      'secret_placeholder',
      `${path} has the text of the demo, which everybody can read.`,
      "Put your own secret there; openssl rand -base64 48 makes a good one for Gatehouse's own.",
    )
  }
}

export const identityCookieDomain: Rule = ({ session }, report) => {
  if (session?.identityCookie && !report.given('session.cookieDomain')) {
    report.problem(
      'session.identityCookie',
      'identity_cookie_domain',
      'session.identityCookie needs session.cookieDomain, which is its audience.',
      'Set session.cookieDomain.',
    )
  }
}

export const oneDatabase: Rule = ({ database }, report) => {
  if (database?.embedded === undefined) return
  const url = ['database.url', 'database.urlFile'].find((path) => report.given(path))
  if (database.embedded && url !== undefined) {
    report.problem(
      url,
      'database_both',
      `${url} and database.embedded are both given.`,
      'Keep url for a PostgreSQL of your own, or embedded: true for the one Gatehouse runs.',
    )
  }
  if (!database.embedded && url === undefined) {
    report.problem(
      'database',
      'database_none',
      'No database is given.',
      'Set database.url (or urlFile), or embedded: true.',
      report.keyPositionOf('database'),
    )
  }
}

/** Of the connections of each worker at most half serve transactions: the other one keeps reads going. */
export const MIN_POOL_OF_WORKER = 2

/** For `auto` the number is known only where the gateway starts: it takes fewer workers there. */
export const poolForWorkers: Rule = ({ server, database }, report) => {
  const { workers } = server ?? {}
  const { poolSize } = database ?? {}
  if (typeof workers !== 'number' || workers === 1 || poolSize === undefined) return
  const least = workers * MIN_POOL_OF_WORKER
  if (poolSize >= least) return
  report.problem(
    report.given('database.poolSize') ? 'database.poolSize' : 'server.workers',
    'pool_small',
    `database.poolSize is ${poolSize}, too few connections for ${workers} workers.`,
    `Each needs ${MIN_POOL_OF_WORKER} of them: set database.poolSize to ${least} or more, or server.workers to fewer.`,
  )
}

/** directUrl names the servers, url the one pooler in front of them. */
export const directAddress: Rule = ({ database }, report) => {
  const { url, directUrl, embedded } = database ?? {}
  if (directUrl === undefined) return
  const path = report.given('database.directUrlFile') ? 'database.directUrlFile' : 'database.directUrl'
  if (embedded) {
    report.problem(
      path,
      'database_direct_unused',
      `${path} and database.embedded are both given.`,
      'Take it away: no pooler is in front of the embedded PostgreSQL.',
    )
  }
  if ((parseDatabaseUrl(url ?? '')?.hosts.length ?? 1) > 1) {
    report.problem(
      path,
      'database_direct_hosts',
      `${path} is given, and database.url has several hosts.`,
      'Name the one address of the pooler in url, and the hosts of PostgreSQL in directUrl. Without a pooler take ' +
        'directUrl away.',
    )
  }
}

/** caFile requests verification of the server: reports the settings that prevent it. */
export const databaseAuthority: Rule = ({ database }, report) => {
  const { url, caFile, embedded } = database ?? {}
  if (caFile === undefined) return
  const path = 'database.caFile'
  if (embedded) {
    return report.warn(
      path,
      'database_ca_unused',
      `${path} has no effect: the embedded PostgreSQL is reached without a network.`,
      'Take it away.',
    )
  }
  const parameters = parseDatabaseUrl(url ?? '')?.url.searchParams
  if (parameters === undefined) return
  if (parameters.has('sslrootcert')) {
    report.problem(
      path,
      'database_ca_both',
      `${path} and sslrootcert in the database's address are both given.`,
      'Keep one of the two.',
    )
  }
  const mode = parameters.get('sslmode') ?? ''
  if (['disable', 'allow', 'prefer'].includes(mode)) {
    report.warn(
      path,
      'database_ca_unused',
      `${path} has no effect with sslmode=${mode}, which verifies nothing.`,
      'Write sslmode=verify-full in the address, or leave sslmode out.',
    )
  }
}
