// The overview of the installation: who is signed in, what was answered and refused, who is superuser, and what to do.
// What is counted over many rows is kept for some seconds, and says how old it is.
import type { ActivityReader, ActivitySeries, Bucket } from '../core/activity.js'
import { boundedPart, remembered, type Remembered } from '../core/bounded.js'
import { FAILURES, type ErrorCode } from '../core/errors.js'
import type { Part } from '../core/health.js'
import type { OverviewReader, SignedIn, Superusers } from '../core/overview.js'
import type { Health, HealthAdmin } from './health.js'

export const RANGES = {
  '24h': { ms: 86_400_000, bucket: 'hour' },
  '7d': { ms: 7 * 86_400_000, bucket: 'hour' },
  '30d': { ms: 30 * 86_400_000, bucket: 'day' },
} as const satisfies Record<string, { readonly ms: number, readonly bucket: Bucket }>

export type Range = keyof typeof RANGES

export interface Answers {
  readonly range: Range
  readonly bucket: Bucket
  /** Milliseconds since 1970: when it was read. */
  readonly readAt: number
  readonly answers: ActivitySeries
  readonly signIns: ActivitySeries
  /** Active users with the flag, by hour: keys `superusers` and `staff`. */
  readonly levels: ActivitySeries
}

/** A refusal that was counted, with what it says to the person who was refused. */
export interface Refusal {
  readonly of: 'answer' | 'sign_in'
  readonly code: string
  readonly count: number
  /** Null: no code of an error, such as `other`. */
  readonly sentence: string | null
}

export interface Overview {
  readonly signedIn: Part<Remembered<SignedIn>>
  readonly superusers: Part<Remembered<Superusers>>
  readonly answers: Part<Answers>
  readonly health: Health
}

export interface OverviewAdmin {
  /** Within two seconds, whatever does not answer. Never rejects. */
  read(range: Range): Promise<Overview>
  /** @throws GatehouseError `database_unavailable` */
  answers(range: Range): Promise<Answers>
  readonly superusersAt: OverviewReader['superusersAt']
}

export interface OverviewAdminPorts {
  readonly reader: OverviewReader
  readonly activity: ActivityReader
  readonly health: Pick<HealthAdmin, 'read'>
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

const KEPT_MS = 10_000

export function createOverviewAdmin({ reader, activity, health, now }: OverviewAdminPorts): OverviewAdmin {
  const signedIn = remembered(reader.signedIn, KEPT_MS, now)
  const superusers = remembered(reader.superusers, KEPT_MS, now)
  const series = Object.fromEntries(
    Object.entries(RANGES).map(([range, { bucket, ms }]) => [
      range,
      remembered(
        async () => {
          const [answers, signIns, levels] = await Promise.all([
            activity.series({ kind: 'answer', bucket, range: ms }),
            activity.series({ kind: 'sign_in', bucket, range: ms }),
            activity.series({ kind: 'superusers', bucket, range: ms }),
          ])
          return { answers, signIns, levels }
        },
        KEPT_MS,
        now,
      ),
    ]),
  )
  const answers = async (range: Range): Promise<Answers> => {
    const read = series[range]
    if (read === undefined) throw new Error(`no such range: ${range}`)
    const { value, readAt } = await read()
    return { range, bucket: RANGES[range].bucket, readAt, ...value }
  }
  return {
    answers,
    superusersAt: reader.superusersAt,
    async read(range) {
      const [people, rights, counted, state] = await Promise.all([
        boundedPart(signedIn),
        boundedPart(superusers),
        boundedPart(() => answers(range)),
        health.read(),
      ])
      return { signedIn: people, superusers: rights, answers: counted, health: state }
    },
  }
}

const GOOD: ReadonlySet<string> = new Set(['allowed', 'completed'])
/** Every visit begins with it: it is no refusal of a person. */
const BEGINNINGS: ReadonlySet<string> = new Set(['not_signed_in'])

function isRefusal(key: string): boolean {
  return !GOOD.has(key) && !BEGINNINGS.has(key)
}

export function refusalsOf({ answers, signIns }: Answers): readonly Refusal[] {
  const of = (kind: Refusal['of'], { series }: ActivitySeries): readonly Refusal[] =>
    series
      .filter(({ key, total }) => isRefusal(key) && total > 0)
      .map(({ key, total }) => ({ of: kind, code: key, count: total, sentence: sentenceOf(key) }))
  return [...of('answer', answers), ...of('sign_in', signIns)].sort((a, b) => b.count - a.count)
}

function sentenceOf(code: string): string | null {
  return Object.hasOwn(FAILURES, code) ? FAILURES[code as ErrorCode].sentence : null
}

export interface Bars {
  readonly good: readonly number[]
  readonly refused: readonly number[]
  /** Anonymous requests, which begin a sign-in. */
  readonly anonymous: readonly number[]
}

/** The sums of each bucket. */
export function barsOf({ buckets, series }: ActivitySeries): Bars {
  const sum = (wanted: (key: string) => boolean) =>
    buckets.map((_, at) => series.reduce((total, { key, counts }) => total + (wanted(key) ? counts[at] ?? 0 : 0), 0))
  return {
    good: sum((key) => GOOD.has(key)),
    refused: sum(isRefusal),
    anonymous: sum((key) => BEGINNINGS.has(key)),
  }
}

export interface RefusalBars {
  /** The start of each bucket: of an hour in a day, otherwise of a day (UTC). */
  readonly buckets: readonly Date[]
  /** The most frequent codes, then all others together, without code; none where nothing was refused. */
  readonly causes: readonly { readonly code: string | undefined, readonly counts: readonly number[] }[]
}

/** Refused answers and failed sign-ins together, by their code. */
export function refusalBarsOf(answers: Answers, most = 2): RefusalBars {
  const hours = answers.answers.buckets
  const labels = hours.map((start) => answers.range === '24h' ? start.toISOString() : dayOf(start))
  const buckets = [...new Set(labels)]
  const place = new Map(buckets.map((label, index) => [label, index]))
  const byCode = new Map<string, number[]>()
  for (const { key, counts } of [...answers.answers.series, ...answers.signIns.series]) {
    if (!isRefusal(key)) continue
    const sums = byCode.get(key) ?? buckets.map(() => 0)
    byCode.set(key, sums)
    for (const [at, label] of labels.entries()) addTo(sums, place.get(label), counts[at])
  }
  const total = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0)
  const causes = [...byCode].map(([code, counts]) => ({ code, counts })).filter(({ counts }) => total(counts) > 0)
    .sort((a, b) => total(b.counts) - total(a.counts))
  const others = causes.slice(most)
  const sums = buckets.map((_, at) => others.reduce((sum, { counts }) => sum + (counts[at] ?? 0), 0))
  return {
    buckets: buckets.map((label) => new Date(label)),
    causes: [...causes.slice(0, most), ...others.length === 0 ? [] : [{ code: undefined, counts: sums }]],
  }
}

function dayOf(time: Date): string {
  return time.toISOString().slice(0, 10)
}

function addTo(sums: number[], index: number | undefined, count: number | null | undefined): void {
  if (index !== undefined) sums[index] = (sums[index] ?? 0) + (count ?? 0)
}
