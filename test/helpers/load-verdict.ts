// The verdict on a recorded load: which answers were wrong, what the database has lost, and how long no session was
// answered.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Act, LoadedGateway, RecordedCheck, RecordedLoad, RecordedSession } from './recorded-load.js'
import type { Query } from './sql.js'

interface Lost {
  readonly signIns: readonly string[]
  readonly endings: readonly string[]
  /** Answers 200 after an ending that replicas had received. */
  readonly wrong: readonly string[]
  readonly refused: number
  /** When the first of these sign-ins and endings was acknowledged. */
  readonly earliest: number | undefined
}

export interface Verdict {
  /** Answers 200 that must not be, for sessions whose ending the database has. */
  readonly wrong: readonly string[]
  /** Answers 401 that must not be, for sessions whose sign-in the database has. */
  readonly refused: readonly string[]
  /** Acknowledged sign-ins and endings that the database does not have, and the answers that follow from it. */
  readonly lost: Lost
  /** Sessions that another gateway did not find yet within the bound. */
  readonly late: number
  /** Answers 200 after the bound while the replica reached no server, within outageGrace. */
  readonly inGrace: number
  readonly counts: { readonly checks: number, readonly signIns: number, readonly endings: number }
}

/** An ended session is not answered 200 so long after its acknowledged ending, and a new one is known everywhere. */
export const BOUND_MS = 6_000

/** A replica receives a change within half a second; what it has not received is not taken away again. */
const RECEIVED_MS = 500

type Ending = NonNullable<RecordedSession['ending']>

export interface JudgeOptions {
  /** The monotonic time of the fault. */
  readonly from: number
  /** When the last replica left the server whose latest changes may be lost. */
  readonly left?: number
  /** An acknowledged ending counts from this time on, where no replica can know of it before. */
  readonly countsFrom?: (ending: Ending) => number | undefined
  /** When all sessions ended, because history was lost and that was said. */
  readonly allEnded?: number | undefined
}

/** @param query on the primary, after everything */
export async function judge(
  load: RecordedLoad,
  gateways: readonly LoadedGateway[],
  query: Query,
  { from, left = Infinity, countsFrom = ({ acknowledged }) => acknowledged, allEnded }: JudgeOptions,
): Promise<Verdict> {
  const recorded = await recordedSessions(query)
  const isLost = (kind: 'signedIn' | 'ended', { id, idHash, ending }: RecordedSession): boolean => {
    if (id !== undefined) return !recorded[kind].has(id)
    return kind === 'signedIn' && ending === undefined && !recorded.active.has(idHash) // it was never answered 200
  }
  const { wrong, inGrace } = wrongAnswers(load, gateways, endedSince(countsFrom, allEnded))
  const { refused, late } = refusedAnswers(load, allEnded)
  const { sessions } = load
  const acknowledged = sessions.filter(({ ending }) => ending?.acknowledged !== undefined)
  const lostSignIns = sessions.filter((session) => isLost('signedIn', session))
  const lostEndings = acknowledged.filter((session) => isLost('ended', session) && !isLost('signedIn', session))
  return {
    wrong: wrong.filter(({ session }) => !isLost('ended', session)).map(described),
    refused: refused.filter(({ session }) => !isLost('signedIn', session)).map(described),
    lost: {
      signIns: lostSignIns.map(({ gateway, signIn }) => `sign-in at ${gateway}, ${acknowledgedAt(signIn, from)}`),
      endings: lostEndings.flatMap(({ ending }) =>
        ending === undefined ? [] : `${ending.by}, ${acknowledgedAt(ending, from)}`
      ),
      wrong: wrong.filter(({ session }) => isLost('ended', session) && wasReceived(session, left)).map(described),
      refused: refused.filter(({ session }) => isLost('signedIn', session)).length,
      earliest: earliestOf(lostSignIns, lostEndings),
    },
    late,
    inGrace,
    counts: { checks: load.checks.length, signIns: sessions.length, endings: acknowledged.length },
  }
}

/** Before the last replica left the server that had it. */
function wasReceived({ ending }: RecordedSession, left: number): boolean {
  return (ending?.acknowledged ?? Infinity) < left - RECEIVED_MS
}

function earliestOf(signIns: readonly RecordedSession[], endings: readonly RecordedSession[]): number | undefined {
  const times = [...signIns.map(({ signIn }) => signIn), ...endings.flatMap(({ ending }) => ending ?? [])]
    .flatMap(({ acknowledged }) => acknowledged ?? [])
  return times.length === 0 ? undefined : Math.min(...times)
}

function acknowledgedAt({ acknowledged = Number.NaN }: Act, from: number): string {
  return `acknowledged ${seconds(acknowledged - from)} s after the fault`
}

/** An acknowledged act writes its audit row in the same transaction. */
async function recordedSessions(query: Query) {
  const rows = await query<{ action: string, session: string }>(
    `select action, detail->>'session' as session from audit_events
      where action in ('login', 'logout', 'session.revoke')`,
  )
  const of = (isEnding: boolean): ReadonlySet<string> =>
    new Set(rows.filter(({ action }) => (action !== 'login') === isEnding).map(({ session }) => session))
  const active = await query<{ hash: string }>("select encode(id_hash, 'hex') as hash from sessions")
  return { signedIn: of(false), ended: of(true), active: new Set(active.map(({ hash }) => hash)) }
}

/** @returns since when the session has to be refused; undefined: it has not */
function endedSince(countsFrom: NonNullable<JudgeOptions['countsFrom']>, allEnded = Infinity) {
  return ({ signIn, ending }: RecordedSession): number | undefined => {
    const own = ending?.acknowledged === undefined ? undefined : countsFrom(ending)
    const withAll = isBefore(signIn, allEnded) ? allEnded : undefined
    return own === undefined || withAll === undefined ? own ?? withAll : Math.min(own, withAll)
  }
}

function isBefore({ acknowledged = Infinity }: Act, allEnded: number): boolean {
  return allEnded !== Infinity && acknowledged < allEnded
}

function wrongAnswers(
  { checks, reaches }: RecordedLoad,
  gateways: readonly LoadedGateway[],
  endedAt: (session: RecordedSession) => number | undefined,
) {
  const wrong: RecordedCheck[] = []
  let inGrace = 0
  for (const check of checks) {
    const ended = endedAt(check.session)
    if (check.status !== 200 || ended === undefined || check.begin <= ended + BOUND_MS) continue
    const { graceMs = 0 } = gateways.find(({ name }) => name === check.gateway) ?? {}
    const reached = reaches.get(check.gateway)?.findLast((each) => each.reached && each.begin <= check.begin)
    // Where it reaches no server of record, it answers from memory within outageGrace.
    const isGrace = graceMs > 0 && check.begin <= ended + BOUND_MS + graceMs &&
      (reached?.begin ?? 0) <= ended + BOUND_MS
    if (isGrace) inGrace++
    else wrong.push(check)
  }
  return { wrong, inGrace }
}

function refusedAnswers({ checks }: RecordedLoad, allEnded = Infinity) {
  const refused: RecordedCheck[] = []
  let late = 0
  for (const check of checks) {
    const { session, gateway, status, begin, end } = check
    if (status !== 401 || (session.ending !== undefined && session.ending.begin <= end)) continue
    if (isBefore(session.signIn, allEnded)) continue
    const isElsewhere = gateway !== session.gateway
    if (isElsewhere && begin <= (session.signIn.acknowledged ?? 0) + BOUND_MS) late++
    else refused.push(check)
  }
  return { refused, late }
}

function described({ gateway, session: { id, ending, signIn, gateway: home }, begin, status }: RecordedCheck): string {
  const after = (since: number | undefined): string => `${seconds(begin - (since ?? Number.NaN))} s`
  const since = status === 200
    ? `${after(ending?.acknowledged)} after its ending (${ending?.by})`
    : `${after(signIn.acknowledged)} after its sign-in at ${home}`
  return `${gateway}: ${status} for ${id}, ${since}`
}

/** The longest time in which no active session was answered 200 at this gateway, in milliseconds. */
export function longestGap({ checks }: RecordedLoad, gateway: string, from: number): number {
  return widest(
    checks.filter((check) =>
      check.gateway === gateway && check.status === 200 && check.begin >= from &&
      (check.session.ending === undefined || check.session.ending.begin > check.end)
    ).map(({ end }) => end),
    from,
  )
}

/** The longest time between two acknowledged sign-ins at this gateway, in milliseconds. */
export function signInGap({ signIns }: RecordedLoad, gateway: string, from: number): number {
  return widest(
    signIns.flatMap((each) =>
      each.gateway === gateway && each.begin >= from && each.acknowledged !== undefined ? each.acknowledged : []
    ),
    from,
  )
}

/** Waits until every gateway answers active sessions, and signs in. @returns those that do not in time */
export async function notRecovered(
  load: RecordedLoad,
  gateways: readonly LoadedGateway[],
  withinMs = 90_000,
): Promise<readonly string[]> {
  const from = performance.now()
  const missing = (): readonly string[] =>
    gateways.filter(({ name }) => longestGap(load, name, from) === 0 || signInGap(load, name, from) === 0)
      .map(({ name }) => name)
  for (const until = from + withinMs; performance.now() < until; await sleep(200)) {
    if (missing().length === 0) return []
  }
  return missing()
}

/** The median and the highest of these milliseconds, in seconds. */
export function medianAndLongest(gaps: readonly number[]): string {
  const sorted = [...gaps].sort((a, b) => a - b)
  const [p50 = 0, longest = 0] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted.at(-1)]
  return `p50 ${seconds(p50)} s, longest ${seconds(longest)} s`
}

export function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1)
}

/** @returns 0 where there is none of these times */
function widest(times: readonly number[], from: number): number {
  const sorted = [...times].sort((a, b) => a - b)
  return sorted.reduce((longest, at, index) => Math.max(longest, at - (sorted[index - 1] ?? from)), 0)
}
