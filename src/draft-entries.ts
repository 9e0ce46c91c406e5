// Reads the rows and rules of drafts, and keeps what was read last: a page shows the same text again and again, and the
// text that an edit makes is the one that is shown next.
import { createHash } from 'node:crypto'
import type { PolicyEntries } from './core/policy-entries.js'

/** Texts that are kept: some megabytes each where they have 10,000 rows. */
const MOST_KEPT = 4

export function createEntryReader(
  read: (text: string) => PolicyEntries | Promise<PolicyEntries>,
): (text: string) => Promise<PolicyEntries> {
  const kept = new Map<string, Promise<PolicyEntries>>()
  return async (text) => {
    const key = createHash('sha256').update(text).digest('base64')
    const known = kept.get(key)
    if (known !== undefined) return await known
    const reading = Promise.resolve().then(() => read(text))
    const [oldest] = kept.keys()
    if (kept.size >= MOST_KEPT && oldest !== undefined) kept.delete(oldest)
    kept.set(key, reading)
    reading.catch(() => kept.delete(key))
    return await reading
  }
}
