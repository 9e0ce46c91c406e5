// The database: it answers, is migrated and writable, the connection is encrypted, and its clock agrees with ours.
import type { GatehouseError } from '../core/errors.js'
import { clockFits } from './entra.js'
import { failure, type Check, type Finding } from './finding.js'

export interface DatabaseState {
  /** The database's time, in milliseconds since 1970. */
  readonly timeMs: number
  readonly version: string
  /** Migrations that are not applied yet. */
  readonly pending: readonly string[]
  readonly link: {
    readonly encrypted: boolean
    readonly protocol: string | undefined
    readonly verified: 'nothing' | 'authority' | 'name'
  }
  /** The link does not leave this machine. */
  readonly local: boolean
  /** Standbys that are connected, and which of them a commit waits for; empty: none. */
  readonly standbys: number
  readonly synchronousStandbyNames: string
  /** The setting `synchronous_commit` of the role or the server. */
  readonly synchronousCommit: string
  /** The oldest transaction above ten minutes that keeps PostgreSQL from removing dead rows. */
  readonly oldTransaction: { readonly seconds: number, readonly who: string } | null
  readonly seesTransactions: boolean
  /** The search for users finds parts of names, and not only their beginnings. */
  readonly searchesParts: boolean
  /** A pooler answers in place of the server. */
  readonly pooled: boolean
  /** Of each host of the address, as the last check found it. */
  readonly hosts: readonly DatabaseHost[]
  /** Why nothing can be written, or no table can be created. */
  readonly readOnly: GatehouseError | undefined
  readonly noRights: GatehouseError | undefined
}

export interface DatabaseHost {
  /** host:port */
  readonly host: string
  readonly state: 'current' | 'accepts writes' | 'read-only' | 'unreachable'
  readonly identity: { readonly timeline: string | undefined } | undefined
  /** Parts of its identity that it does not show to this role. */
  readonly hidden: readonly ('systemId' | 'timeline')[]
  readonly failure: GatehouseError | undefined
}

export interface DatabaseInspection extends DatabaseState {
  /** @throws `database_engine_unsupported`, `database_unavailable` */
  readonly tryEngine: () => Promise<void>
  /** @throws `database_unavailable` */
  readonly notificationsArrive: () => Promise<boolean>
}

export interface DatabaseCheckOptions {
  readonly inspect: () => Promise<DatabaseInspection>
  readonly now?: () => number
}

export function databaseFits({ inspect, now = Date.now }: DatabaseCheckOptions): Check {
  return async () => {
    try {
      const sentAt = now()
      const seen = await inspect()
      const skewMs = seen.timeMs - (sentAt + now()) / 2
      return [
        { state: 'ok', code: 'database', message: `PostgreSQL ${seen.version} answers` },
        await engineFits(seen),
        ...await notificationsFit(seen),
        ...transactionsFit(seen),
        ...hostsFit(seen.hosts),
        ...replicationFits(seen),
        linkFits(seen),
        clockFits('the database', skewMs),
        ...writesFit(seen, 'fail'),
        migrations(seen),
        ...searchFits(seen),
      ]
    } catch (error) {
      return [failure(error, 'fail')] // guard: adv-database-goes-on
    }
  }
}

async function engineFits({ tryEngine }: DatabaseInspection): Promise<Finding> {
  try {
    await tryEngine()
    return { state: 'ok', code: 'database_engine', message: 'advisory locks and triggers work' }
  } catch (error) {
    return failure(error, 'fail')
  }
}

/** Whether replicas are notified of changes, or poll. */
async function notificationsFit({ notificationsArrive, pooled }: DatabaseInspection): Promise<readonly Finding[]> {
  if (await notificationsArrive()) {
    if (!pooled) return []
    return [{
      state: 'warn',
      code: 'database_pooled',
      message: 'a pooler answers in place of PostgreSQL: the bounds of a failover are those of the pooler',
      remedy: 'Name the servers past the pooler in database.directUrl.',
    }]
  }
  return [{
    state: 'warn',
    code: 'database_polled',
    message: 'notifications do not arrive (a pooler in transaction mode): each replica polls for changes ten times a ' +
      'second, and the bounds of a failover are those of the pooler',
    remedy: 'Name the servers past the pooler in database.directUrl.',
  }]
}

/** A transaction that stays open delays no change, and makes the tables grow. */
function transactionsFit({ oldTransaction, seesTransactions }: DatabaseState): readonly Finding[] {
  if (oldTransaction === null) {
    if (seesTransactions) return []
    return [{
      state: 'skipped',
      code: 'database_old_transaction',
      message: 'whether a transaction of another role has been open for long: this role does not see it',
      remedy: 'GRANT pg_read_all_stats TO the role of database.url.',
    }]
  }
  const { seconds, who } = oldTransaction
  return [{
    state: 'warn',
    code: 'database_old_transaction',
    message: `a transaction has been open for ${Math.round(seconds / 60)} minutes: ${who}. PostgreSQL removes no ` +
      'dead rows meanwhile, so that the tables grow and reading becomes slower',
    remedy: 'End it: SELECT pg_terminate_backend(PROCESS); or, for a prepared one, ROLLBACK PREPARED.',
  }]
}

/** Which server is used and why, the hosts that are down, and what a server that hides its identity makes weaker. */
function hostsFit(hosts: readonly DatabaseHost[]): readonly Finding[] {
  const roles = hosts.map(({ host, state, identity }) =>
    `${host} ${ROLES[state]}${
      identity?.timeline === undefined ? '' : ` on timeline ${Number.parseInt(identity.timeline, 16)}`
    }`
  )
  const list: readonly Finding[] = hosts.length > 1
    ? [{ state: 'ok', code: 'database_hosts', message: roles.join(', ') }]
    : []
  const former = hosts.filter(({ state }) => state === 'accepts writes').map(({ host }) => ({
    state: 'warn' as const,
    code: 'database_second_primary',
    message: `${host} accepts writes too: it is a former primary that still runs`,
    remedy: 'Stop it, and make it a standby of the primary (patronictl reinit, pg_rewind).',
  }))
  const down = hosts.flatMap(({ failure: cause }) =>
    cause === undefined ? [] : [{ ...failure(cause, 'warn'), code: 'database_host_down' }]
  )
  const hidden = HIDDEN.filter(([part]) => hosts.some((host) => host.hidden.includes(part))).map(([, finding]) =>
    finding
  )
  return [...list, ...former, ...down, ...hidden]
}

/** Whether an acknowledged change survives a failover. */
function replicationFits({ standbys, synchronousStandbyNames: names, synchronousCommit }: DatabaseState): Finding[] {
  if (names !== '' && standbys === 0) return [NO_STANDBY]
  if (names !== '') {
    const raised = WAITING_COMMITS.has(synchronousCommit)
      ? ''
      : `; synchronous_commit is ${synchronousCommit}, and Gatehouse sets it to on for what must not be lost`
    return [{
      state: 'ok',
      code: 'database_synchronous',
      message: `a change counts once a synchronous standby has it too (synchronous_standby_names: ${names})${raised}`,
    }]
  }
  return standbys === 0 ? [] : [ASYNCHRONOUS]
}

/** Values of `synchronous_commit` that wait for the standby to write to its disk. */
const WAITING_COMMITS: ReadonlySet<string> = new Set(['on', 'remote_apply'])

const NO_STANDBY: Finding = {
  state: 'warn',
  code: 'database_standby_missing',
  message: 'synchronous_standby_names is set, and no standby is connected: changes wait for one and are refused',
  remedy: 'Connect the standby again. Patroni turns to asynchronous replication by itself, unless ' +
    'synchronous_mode_strict is true; CloudNativePG with dataDurability: preferred. Plain PostgreSQL: ALTER SYSTEM ' +
    'RESET synchronous_standby_names; SELECT pg_reload_conf();',
}

const ASYNCHRONOUS: Finding = {
  state: 'warn',
  code: 'database_asynchronous',
  message: 'replication is asynchronous: a failover may lose the last changes, so that a session that was ended is ' +
    'active again',
  remedy: 'Patroni: synchronous_mode: true (patronictl edit-config); without any standby it turns to asynchronous, ' +
    'unless synchronous_mode_strict: true, which refuses changes. CloudNativePG: spec.postgresql.synchronous with ' +
    'method: any and number: 1; without any standby changes are refused, unless dataDurability: preferred. Plain ' +
    "PostgreSQL: ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'; SELECT pg_reload_conf(); without any " +
    'standby changes are refused. Each change then waits for a standby.',
}

const ROLES = {
  current: 'is the server that is used',
  'accepts writes': 'accepts writes and is not used',
  'read-only': 'is read-only',
  unreachable: 'does not answer',
} as const

const HIDDEN: readonly (readonly ['systemId' | 'timeline', Finding])[] = [
  ['timeline', {
    state: 'warn',
    code: 'database_timeline_hidden',
    message: 'PostgreSQL does not show its timeline to this role: where a failover leaves the old primary running, ' +
      'and database.url names both servers, Gatehouse uses neither of them',
    remedy: 'GRANT EXECUTE ON FUNCTION pg_walfile_name(pg_lsn), pg_current_wal_insert_lsn() TO the role of ' +
      'database.url, where the service allows it.',
  }],
  ['systemId', {
    state: 'warn',
    code: 'database_system_hidden',
    message: 'PostgreSQL does not show its system identifier to this role: a server of another cluster is not noticed',
    remedy: 'GRANT EXECUTE ON FUNCTION pg_control_system() TO the role of database.url, where the service allows it.',
  }],
]

/** Why Gatehouse cannot write. The missing right to create tables counts only if migrations are pending. */
export function writesFit({ readOnly, noRights, pending }: DatabaseState, state: 'warn' | 'fail'): readonly Finding[] {
  const obstacle = readOnly ?? (pending.length > 0 ? noRights : undefined)
  return obstacle === undefined ? [] : [failure(obstacle, state)]
}

function linkFits({ link: { encrypted, protocol, verified }, local }: DatabaseState): Finding {
  const code = 'database_link'
  if (!encrypted && local) {
    return { state: 'ok', code, message: 'the link is not encrypted, and does not leave this machine' }
  }
  if (!encrypted) {
    return {
      state: 'warn',
      code: 'database_link_plain',
      message: 'the link is not encrypted: others on the network can read and change the traffic',
      remedy: 'Give the server a certificate (ALTER SYSTEM SET ssl = on), set database.caFile and write ' +
        'sslmode=verify-full in database.url.',
    }
  }
  const message = `the link is encrypted (${protocol ?? 'TLS'})`
  if (verified === 'name') return { state: 'ok', code, message: `${message}, and the server's certificate is verified` }
  if (verified === 'authority') {
    return {
      state: 'ok',
      code,
      message: `${message}, and the server's certificate is verified, except its name (sslmode=verify-ca)`,
    }
  }
  return {
    state: 'ok',
    code,
    message: `${message}; the server's certificate is not verified, as sslmode=verify-full does`,
  }
}

function migrations({ pending, readOnly, noRights }: DatabaseState): Finding {
  if (pending.length === 0) return { state: 'ok', code: 'migrations', message: 'the tables are at this version' }
  const remedy = readOnly ?? noRights
    ? 'After that: gatehouse migrate (a start does it too)'
    : 'gatehouse migrate (a start does it too)'
  return { state: 'fail', code: 'migrations_pending', message: `not applied yet: ${pending.join(', ')}`, remedy }
}

function searchFits({ searchesParts, pending }: DatabaseState): readonly Finding[] {
  if (pending.length > 0) return [] // a migration makes the indexes
  const code = 'database_search'
  return [
    searchesParts
      ? { state: 'ok', code, message: 'the search for users finds parts of names (pg_trgm)' }
      : {
        state: 'skipped',
        code,
        message: 'the search for users finds only the beginnings of names: the extension pg_trgm is not installed',
        remedy: 'CREATE EXTENSION pg_trgm; then, as the owner of the tables: SELECT gatehouse_search_by_trigrams();',
      },
  ]
}
