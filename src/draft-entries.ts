// Reads the rows and rules of drafts, and keeps what was read last: a page shows the same text again and again, and the
// text that an edit makes is the one that is shown next.
import { createHash } from 'node:crypto'
import { createKeptResults } from './core/kept-results.js'
import type { PolicyEntries } from './core/policy-entries.js'

/** Texts that are kept: some megabytes each where they have 10,000 rows. */
const MOST_KEPT = 4

export function createEntryReader(
  read: (text: string) => PolicyEntries | Promise<PolicyEntries>,
): (text: string) => Promise<PolicyEntries> {
  const kept = createKeptResults<PolicyEntries>(MOST_KEPT)
  return async (text) => await kept(createHash('sha256').update(text).digest('base64'), async () => await read(text))
}
