// Before the rows of another server count, or of the same one after a restore: whether it has the whole history that
// this replica remembers. What was taken away lately is taken away again in any case, because a standby may also lack
// what was committed after the last heartbeat.
import { sql } from 'drizzle-orm'
import type { Assessment, History } from '../../core/history.js'
import { writeAudit } from '../audit.js'
import { translated, type Transaction } from '../database.js'
import { createDedicatedConnection } from '../dedicated-connection.js'
import type { CurrentServer } from '../server-of-record/record.js'
import { transactionOn } from '../transaction.js'
import { takeAgain } from './kinds.js'

/** `reapply`: sessions end only where what was taken away is not known; `endSessions`: they end in any case. */
export type OnLostHistory = 'reapply' | 'endSessions'

export interface LostHistory {
  /** When it was noticed. */
  readonly at: Date
  /** Rows that were taken away again, by kind. */
  readonly takenAgain: Readonly<Record<string, number>>
  /** undefined: sessions go on. */
  readonly sessionsEnded: number | undefined
}

export interface ReconcilerOptions {
  readonly history: History
  /** The name of this replica in the table `replicas`. */
  readonly replica: string
  readonly onLostHistory: OnLostHistory
  readonly encryptionSecrets: readonly string[]
  readonly log: { error(facts: object, text: string): void }
}

export interface Reconciler {
  /**
   * @param signal aborted where another server is used meanwhile: the connection is closed
   * @returns whether a part of the history was lost
   * @throws where the server does not answer: its rows do not count until it does
   */
  reconcile(server: CurrentServer, signal?: AbortSignal): Promise<boolean>
  /** The last loss; undefined: there was none since the start. */
  lastLoss(): LostHistory | undefined
}

const CONNECT_MS = 2_000
/** Of one statement: all sessions may end. */
const STATEMENT_MS = 60_000
// Nothing is waited for longer than that, and a replica that stops in the middle holds no lock for longer.
// guard: lost-locked
const LIMITS = `set local lock_timeout = '2s'; set local statement_timeout = '55s';
  set local idle_in_transaction_session_timeout = '5s'`

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { history, log } = options
  let lastLoss: LostHistory | undefined
  /** Found by an attempt whose commit was not confirmed: the next one may find its own row. */
  let unreported: Compared | undefined
  return {
    async reconcile(server, signal) {
      const connection = createDedicatedConnection({
        server,
        name: 'history',
        timeoutMs: CONNECT_MS,
        statementTimeoutMs: STATEMENT_MS,
        onLost: () => {},
      })
      const giveUp = (): void => connection.drop()
      signal?.addEventListener('abort', giveUp) // guard: lost-comparison-given-up
      try {
        await connection.connect()
        const count = history.next()
        const { assessment, ...loss } = await transactionOn(connection.client, server, async (tx) => {
          unreported = merged(unreported, await compare(tx, server, count, options)) // guard: lost-reported
          return unreported
        })
        unreported = undefined
        history.confirmed(count)
        if (!isLoss(assessment, loss.takenAgain)) return false
        lastLoss = { at: new Date(), ...loss }
        log.error({ ...factsOf(assessment, loss), remedy: REMEDY }, TEXT)
        return true
      } catch (error) {
        throw translated(error, server.url) // guard: lost-failure-named
      } finally {
        signal?.removeEventListener('abort', giveUp)
        connection.drop()
      }
    },
    lastLoss: () => lastLoss,
  }
}

const TEXT = 'the database has lost the latest part of its history: what was taken away in it is taken away again'
const REMEDY = 'Changes and sign-ins that were acknowledged shortly before are gone: see the audit (history.lost), ' +
  'repeat what was given by command, and make replication synchronous (gatehouse doctor).'

type Compared = Omit<LostHistory, 'at'> & { readonly assessment: Assessment }

function merged(earlier: Compared | undefined, found: Compared): Compared {
  if (earlier === undefined) return found
  return {
    assessment: found.assessment.lost ? found.assessment : earlier.assessment,
    takenAgain: { ...earlier.takenAgain, ...found.takenAgain },
    sessionsEnded: sum(earlier.sessionsEnded, found.sessionsEnded),
  }
}

function sum(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? one ?? other : one + other
}

function isLoss(assessment: Assessment, takenAgain: LostHistory['takenAgain']): boolean {
  return assessment.lost || Object.keys(takenAgain).length > 0
}

function factsOf(assessment: Assessment, { takenAgain, sessionsEnded }: Omit<LostHistory, 'at'>) {
  return {
    ...(assessment.lost ? { heartbeatsLost: assessment.heartbeats } : {}),
    takenAgain,
    ...(sessionsEnded === undefined ? {} : { sessionsEnded }),
  }
}

/** One transaction, for one replica at a time. */
async function compare(
  tx: Transaction,
  server: CurrentServer,
  count: number,
  { history, replica, onLostHistory, encryptionSecrets }: ReconcilerOptions,
): Promise<Compared> {
  await tx.execute(sql.raw(LIMITS))
  const { rows: [row] } = await tx.execute<{ heartbeats: string }>(
    sql`select heartbeats from replicas where replica = ${replica}`,
  )
  const assessment = history.assess(row === undefined ? undefined : Number(row.heartbeats))
  if (assessment.lost) await tx.execute(sql`select from outbox for update`) // one replica at a time ends all sessions
  const takenAgain = await takeAgain({ tx, encryptionSecrets }, history.tombstones.taken(assessment.since))
  const mustEnd = assessment.lost && (onLostHistory === 'endSessions' || !assessment.isKnown) // guard: lost-unknown
  const sessionsEnded = mustEnd ? await endAllSessions(tx, server, replica) : undefined
  await tx.execute(sql`insert into replicas (replica, heartbeats) values (${replica}, ${count})
    on conflict (replica) do update set heartbeats = greatest(replicas.heartbeats, excluded.heartbeats),
      heartbeat_at = clock_timestamp()`)
  if (isLoss(assessment, takenAgain)) {
    await tx.execute(sql`delete from admin_sessions`) // guard: admin-lost-history
    await writeAudit(tx, {
      action: 'history.lost',
      actor: 'system',
      detail: { server: server.key, replica, ...factsOf(assessment, { takenAgain, sessionsEnded }) },
    })
  }
  return { assessment, takenAgain, sessionsEnded }
}

/**
 * All replicas notice a loss within seconds, and wait for one another. An older row is of another loss, or came with a
 * backup.
 * @returns how many ended; undefined: another replica has ended all because of this loss, and there may be new ones
 */
async function endAllSessions(tx: Transaction, { key }: CurrentServer, self: string): Promise<number | undefined> {
  // guard: lost-again
  const { rows: [done] } = await tx.execute(sql`select 1 from audit_events where action = 'history.lost'
    and at > now() - interval '2 minutes' and detail->>'server' = ${key ?? ''}
    and detail->>'replica' <> ${self} and detail ? 'sessionsEnded' limit 1`)
  if (done !== undefined) return undefined
  const { rowCount } = await tx.execute(sql`delete from sessions`)
  return rowCount ?? 0
}
