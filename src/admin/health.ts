// The state of the installation: every part is asked at the same time, and one that does not answer is shown as such.
import { exportProblems, type ExportHealth } from '../core/audit-export.js'
import { isSealOverdue, overdueMinutes, sealText, type SealState } from '../core/audit-seals.js'
import { boundedPart } from '../core/bounded.js'
import { coalesced } from '../core/coalesced.js'
import type {
  ConfigHealth,
  DatabaseServers,
  DatabaseState,
  EntraHealth,
  HealthReader,
  KeyView,
  KnownHealth,
  Part,
  ReplicaHealth,
  SyncHealth,
} from '../core/health.js'

export interface Health {
  readonly version: string
  /** What /readyz says of the replica that answers. */
  readonly isReady: boolean
  readonly servers: DatabaseServers
  readonly entra: EntraHealth
  readonly sync: SyncHealth
  readonly config: ConfigHealth
  readonly database: Part<DatabaseState>
  readonly replicas: Part<readonly ReplicaHealth[]>
  readonly keys: Part<readonly KeyView[]>
  readonly seals: Part<SealState>
  readonly auditExport: Part<ExportHealth>
  readonly todo: readonly Todo[]
}

/** What an administrator should do, the most urgent first. */
export interface Todo {
  readonly urgency: 'bad' | 'warn'
  readonly code: string
  readonly message: string
  readonly remedy: string | null
}

export interface HealthAdmin {
  /** Within two seconds, whatever does not answer. Never rejects. */
  read(): Promise<Health>
}

export interface HealthAdminPorts {
  readonly reader: HealthReader
  readonly known: KnownHealth
  readonly now?: () => number
}

export function createHealthAdmin({ reader, known, now = Date.now }: HealthAdminPorts): HealthAdmin {
  // While a database does not answer, the pages of many administrators wait for one statement each.
  const [ready, replicas, database, keys, seals, auditExport] = [
    coalesced(reader.ready),
    coalesced(reader.replicas),
    coalesced(reader.database),
    coalesced(reader.keys),
    coalesced(reader.seals),
    coalesced(reader.auditExport),
  ] as const
  return {
    async read() {
      const [isReady, ...parts] = await Promise.all([
        boundedPart(ready),
        boundedPart(database),
        boundedPart(replicas),
        boundedPart(keys),
        boundedPart(seals),
        boundedPart(auditExport),
      ])
      const health = {
        version: known.version,
        isReady: isReady.state === 'read' && isReady.value,
        servers: known.servers(),
        entra: known.entra(),
        sync: known.sync(),
        config: known.config(),
        database: parts[0],
        replicas: parts[1],
        keys: parts[2],
        seals: parts[3],
        auditExport: parts[4],
      }
      return { ...health, todo: todoOf(health, now()) }
    },
  }
}

const DAY_MS = 86_400_000
const SOON_DAYS = 30
/** A replica that has written no heartbeat for so long has ended. */
export const SILENT_SECONDS = 60

function todoOf(health: Omit<Health, 'todo'>, now: number): readonly Todo[] {
  const found = [
    ...databaseTodo(health),
    ...sealsTodo(health),
    ...exportTodo(health),
    ...entraTodo(health, now),
    ...replicasTodo(health),
    ...configTodo(health.config),
  ]
  return [...found.filter(({ urgency }) => urgency === 'bad'), ...found.filter(({ urgency }) => urgency === 'warn')]
}

function databaseTodo({ database, servers }: Pick<Health, 'database' | 'servers'>): readonly Todo[] {
  if (database.state === 'unreachable') {
    const message = 'The database does not answer.'
    return [{ urgency: 'bad', code: database.code, message, remedy: 'gatehouse doctor says why.' }]
  }
  const { pending, standbys, synchronousStandbyNames } = database.value
  const down = servers.hosts.filter(({ state }) => state === 'unreachable').map(({ host }): Todo => ({
    urgency: 'warn',
    code: 'database_host_down',
    message: `The database server ${host} does not answer.`,
    remedy: null,
  }))
  const second = servers.hosts.filter(({ state }) => state === 'accepts writes').map(({ host }): Todo => ({
    urgency: 'bad',
    code: 'database_second_primary',
    message: `${host} accepts writes too: it is a former primary that still runs.`,
    remedy: 'Stop it, and make it a standby of the primary.',
  }))
  return [
    ...second,
    ...down,
    ...pending.length === 0 ? [] : [{
      urgency: 'bad' as const,
      code: 'migrations_pending',
      message: `Migrations are not applied: ${pending.join(', ')}.`,
      remedy: 'gatehouse migrate',
    }],
    ...standbys.length === 0 || synchronousStandbyNames !== '' ? [] : [{
      urgency: 'warn' as const,
      code: 'database_asynchronous',
      message: 'Replication is asynchronous: a failover may lose the last changes.',
      remedy: 'gatehouse doctor names the settings of Patroni, CloudNativePG and PostgreSQL.',
    }],
  ]
}

function sealsTodo({ seals }: Pick<Health, 'seals'>): readonly Todo[] {
  if (seals.state !== 'read' || !isSealOverdue(seals.value)) return []
  const minutes = overdueMinutes(seals.value)
  return [{
    urgency: 'warn',
    code: 'audit_unsealed',
    message: `Rows of the audit have not been sealed for ${minutes} minutes: ${sealText(seals.value)}.`,
    remedy: 'The log says why ("the audit could not be sealed"). Until then nothing shows a change of these rows.',
  }]
}

function exportTodo({ auditExport }: Pick<Health, 'auditExport'>): readonly Todo[] {
  if (auditExport.state !== 'read' || !auditExport.value.isConfigured) return []
  return exportProblems(auditExport.value).map(({ code, message, remedy }) => ({
    urgency: 'warn',
    code,
    message: `${message.charAt(0).toUpperCase()}${message.slice(1)}.`,
    remedy,
  }))
}

function entraTodo({ entra, sync }: Pick<Health, 'entra' | 'sync'>, now: number): readonly Todo[] {
  const failing = ([['Entra ID', entra.entra], ['Microsoft Graph', entra.graph]] as const)
    .filter(([, { state }]) => state === 'failing')
    .map(([name, { since }]): Todo => ({
      urgency: 'bad',
      code: name === 'Entra ID' ? 'entra_unavailable' : 'graph_unavailable',
      message: `${name} does not answer since ${since ?? 'the start'}.`,
      remedy: 'gatehouse doctor says why. Active sessions are not affected.',
    }))
  const stopped: readonly Todo[] = sync.failing === null ? [] : [{
    urgency: 'bad',
    code: sync.failing,
    message: 'The re-evaluation fails.',
    remedy: 'The log names the cause. Rights end with sync.privilegedStaleness and sync.maxStaleness.',
  }]
  return [...failing, ...stopped, ...credentialTodo(entra, now)]
}

function credentialTodo({ credential, credentialEndsAt }: EntraHealth, now: number): readonly Todo[] {
  if (credentialEndsAt === null) return []
  const days = Math.floor((Date.parse(credentialEndsAt) - now) / DAY_MS)
  if (days >= SOON_DAYS) return []
  const what = credential === 'certificate' ? 'certificate' : 'client secret'
  return [{
    urgency: days < 7 ? 'bad' : 'warn',
    code: days < 0 ? 'entra_secret_expired' : 'credential_ends_soon',
    message: days < 0 ? `The ${what} has expired.` : `The ${what} expires in ${days} ${days === 1 ? 'day' : 'days'}.`,
    remedy: 'Make a new one in the app registration, and replace it in the file that the configuration names.',
  }]
}

function replicasTodo({ replicas }: Pick<Health, 'replicas'>): readonly Todo[] {
  const different = replicas.state === 'read'
    ? replicas.value.filter(({ isSameConfig, silentSeconds }) => !isSameConfig && silentSeconds < SILENT_SECONDS)
    : []
  if (different.length === 0) return []
  return [{
    urgency: 'warn',
    code: 'replicas_differ',
    message: `Replicas run another configuration: ${different.map(({ name }) => name).join(', ')}.`,
    remedy: 'Give all replicas the same file and the same secrets, and restart the one that is behind.',
  }]
}

function configTodo({ refused, findings }: ConfigHealth): readonly Todo[] {
  const refusal: readonly Todo[] = refused === null ? [] : [{
    urgency: 'bad',
    code: 'configuration_refused',
    message: `The changed configuration is refused since ${refused.since}: ${refused.reason}`,
    remedy: 'gatehouse check names every problem. The configuration before it stays in force.',
  }]
  const warnings = (findings ?? []).map(({ code, place, message, remedy }): Todo => ({
    urgency: 'warn',
    code,
    message: `${place}: ${message}`,
    remedy,
  }))
  return [...refusal, ...warnings]
}
