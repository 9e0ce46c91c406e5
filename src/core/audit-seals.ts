// Seals of the audit: what one says, its hash over the hash of the one before, and sets of row ids. How rows are hashed
// is in src/store/audit-rows.ts; docs/decisions/audit-seals.md has the reasons.
import { createHash, createHmac, hkdfSync } from 'node:crypto'
import { equalInConstantTime } from './constant-time.js'

/** The seal before the first one. Hashes are hexadecimal. */
export const NO_SEAL = '0'.repeat(64)

/** At most so many rows, so that no statement is long. */
export const MAX_SEAL_ROWS = 5_000

/** Times are microseconds since 1970, by the database's clock. */
export interface SealContent {
  /** From 1 on, without gaps. */
  readonly number: number
  readonly at: string
  /** `1-100,103` */
  readonly ids: string
  readonly rows: number
  readonly firstAt: string
  readonly lastAt: string
  /** Rows from before it may be gone. */
  readonly keptSince: string
  /** SHA-256 over the hashes of the rows in the order of their ids. */
  readonly rowsHash: string
  /** Whether the seal before was made with one of the secrets that were configured. */
  readonly isPreviousKnown: boolean
  readonly previousHash: string
}

export interface AuditSeal extends SealContent {
  readonly hash: string
  readonly mac: string
}

/** How far the audit is sealed. */
export interface SealState {
  /** With the first 16 digits of its hash; null: there is none yet. */
  readonly newest: { readonly number: number, readonly at: string, readonly rows: number, readonly hash: string } | null
  /** Age of the oldest row from after the newest seal; null: there is none. */
  readonly overdueSeconds: number | null
}

/** A replica seals once a minute. */
const OVERDUE_SECONDS = 600

export function isSealOverdue({ overdueSeconds }: SealState): boolean {
  return (overdueSeconds ?? 0) > OVERDUE_SECONDS // guard: seal-overdue
}

export function overdueMinutes({ overdueSeconds }: SealState): number {
  return Math.floor((overdueSeconds ?? 0) / 60)
}

export function sealText({ newest }: SealState): string {
  if (newest === null) return 'the audit has no seal yet'
  const { number, at, rows, hash } = newest
  return `the newest seal of the audit is ${number} of ${at} with ${rows} ${rows === 1 ? 'row' : 'rows'} (${hash}...)`
}

export function hashOfSeal(seal: SealContent): string {
  const { number, at, ids, rows, firstAt, lastAt, keptSince, rowsHash, isPreviousKnown, previousHash } = seal
  const fields = [number, at, ids, rows, firstAt, lastAt, keptSince, rowsHash, isPreviousKnown, previousHash]
  return createHash('sha256').update(JSON.stringify(['gatehouse audit seal 1', ...fields])).digest('hex')
}

export function macOfSeal(hash: string, secret: string): string {
  const key = Buffer.from(hkdfSync('sha256', secret, 'gatehouse', 'audit seals', 32))
  return createHmac('sha256', key).update(hash).digest('hex')
}

/** Whether it was made with one of the secrets. The secrets are rotated, so it says this of recent seals alone. */
export function isKnownSeal({ hash, mac }: Pick<AuditSeal, 'hash' | 'mac'>, secrets: readonly string[]): boolean {
  return secrets.some((secret) => equalInConstantTime(macOfSeal(hash, secret), mac))
}

export type IdRange = readonly [first: number, last: number]

/** @param ids in ascending order */
export function idRanges(ids: readonly number[]): string {
  const ranges: [number, number][] = []
  for (const id of ids) {
    const last = ranges.at(-1)
    if (last !== undefined && id <= last[1] + 1) last[1] = id
    else ranges.push([id, id])
  }
  return ranges.map(([first, last]) => first === last ? String(first) : `${first}-${last}`).join(',')
}

/** The inverse; undefined where the text is none of `idRanges`. */
export function readIdRanges(text: string): readonly IdRange[] | undefined {
  const ranges: IdRange[] = []
  for (const part of text.split(',')) {
    const match = /^(-?\d{1,16})(?:-(-?\d{1,16}))?$/.exec(part)
    if (!match) return undefined
    const first = Number(match[1])
    const last = match[2] === undefined ? first : Number(match[2])
    if (last < first || first <= (ranges.at(-1)?.[1] ?? -Infinity)) return undefined
    ranges.push([first, last])
  }
  return ranges
}

export interface IdSet {
  add(range: IdRange): void
  /** Whether one of them is in it. */
  overlaps(range: IdRange): boolean
  /** What is not in it, in ascending order. The last range has no end: rows that are still to come. */
  others(): readonly IdRange[]
}

/** Few ranges, however many ids: nearly every id of a sequence has a row. */
export function createIdSet(): IdSet {
  const ranges: [number, number][] = []
  /** The index of the first range that ends at this id or later. */
  const at = (id: number): number => {
    let [low, high] = [0, ranges.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((ranges[middle]?.[1] ?? Infinity) < id) low = middle + 1
      else high = middle
    }
    return low
  }
  return {
    add([first, last]) {
      const start = at(first - 1)
      let end = start
      for (let range; (range = ranges[end]) !== undefined && range[0] <= last + 1; end++) {
        first = Math.min(first, range[0])
        last = Math.max(last, range[1])
      }
      ranges.splice(start, end - start, [first, last])
    },
    overlaps: ([first, last]) => (ranges[at(first)]?.[0] ?? Infinity) <= last,
    others() {
      const starts = [Number.MIN_SAFE_INTEGER, ...ranges.map(([, last]) => last + 1)]
      return starts.map((first, index): IdRange => [first, (ranges[index]?.[0] ?? Number.MAX_SAFE_INTEGER) - 1])
        .filter(([first, last]) => first <= last)
    },
  }
}
