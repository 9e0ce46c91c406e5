// The previews of each draft of the policy that were made last. Every process writes and reads them, so that any one of
// them can answer how far a preview is.
import { sql } from 'drizzle-orm'
import type { ChangeCounts, KeptPreview, PolicyPreviews } from '../core/policy-preview.js'
import type { Database, Drizzle, Transaction } from './database.js'

type Row = KeptPreview & Record<string, unknown>

export function createPolicyPreviews(database: Database): PolicyPreviews {
  return {
    async countsOf(hash, { draftHash, policyHash }) {
      // guard: policy-counts-of-preview
      const { rows: [counts] } = await database.ask((db) =>
        db.execute<ChangeCounts & Record<string, unknown>>(sql`select (result->>'gains')::int as gains,
          (result->>'losses')::int as losses from policy_previews where state = 'done' and result->>'hash' = ${hash}
          and draft_hash = ${draftHash} and policy_hash = ${policyHash} limit 1`)
      )
      return counts
    },
    byDraft: (draft) => database.ask((db) => previewsOf(db, draft)),
    async begin(draft, run, { draftHash, policyHash, live, total }) {
      const { rowCount } = await database.ask((db) =>
        db.execute(sql`insert into policy_previews (draft, live, run, draft_hash, policy_hash, state, total)
          select id, ${live}, ${run}, ${draftHash}, ${policyHash}, 'running', ${total} from policy_drafts
          where id = ${draft}
          on conflict (draft, live) do update set run = excluded.run, draft_hash = excluded.draft_hash,
            policy_hash = excluded.policy_hash, state = 'running', done = 0, total = excluded.total, code = null,
            until = null, result = null, started_at = clock_timestamp(), written_at = clock_timestamp()`)
      )
      return rowCount === 1
    },
    async progress(run, done) {
      const { rowCount } = await database.ask((db) =>
        db.execute(sql`update policy_previews set done = ${done}, written_at = clock_timestamp()
          where run = ${run} and state = 'running'`)
      )
      return rowCount === 1
    },
    async end(run, done, end) {
      const [state, code, result] = 'result' in end ? ['done', null, end.result] : ['failed', end.code, null]
      const until = 'result' in end ? null : end.until ?? null
      await database.ask((db) =>
        db.execute(sql`update policy_previews set state = ${state}, done = ${done}, code = ${code}, until = ${until},
          result = ${result === null ? null : JSON.stringify(result)}::jsonb, written_at = clock_timestamp()
          where run = ${run}`)
      )
    },
  }
}

export async function previewsOf(on: Drizzle | Transaction, draft: string): Promise<readonly KeptPreview[]> {
  const { rows } = await on.execute<Row>(sql`
    select state, live, to_json(until) #>> '{}' as until, done, total,
      to_json(started_at) #>> '{}' as "startedAt", code, draft_hash as "draftHash", policy_hash as "policyHash",
      -- also of a release that compared no requests, and did not ask Graph
      '{"sampled": null, "live": false, "unavailable": 0}'::jsonb || result as result,
      (extract(epoch from clock_timestamp() - written_at) * 1000)::float8 as "ageMs"
    from policy_previews where draft = ${draft}`)
  return rows
}
