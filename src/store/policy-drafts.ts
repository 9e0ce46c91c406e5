// Drafts of the policy: the list, one draft, and what acts on them read, lock and change (act-unit.ts).
import { sql, type SQL } from 'drizzle-orm'
import { PAGE_ROWS, pageOf } from '../core/page.js'
import {
  MOST_DRAFTS,
  newDraftId,
  type DraftCursor,
  type DraftsUnit,
  type DraftSummary,
  type PolicyDraft,
  type PolicyDrafts,
} from '../core/policy-draft.js'
import { actorName } from './actor-name.js'
import type { Database, Transaction } from './database.js'

type Row<T> = T & Record<string, unknown>

const SUMMARY = sql`d.id, d.base, coalesce((select v.hash from policy_versions v where v.number = d.base), '')
  as "baseHash", d.message, d.author, d.changed_by as "changedBy", ${actorName('d.author')} as "authorName",
  ${actorName('d.changed_by')} as "changedByName", to_json(d.created_at) #>> '{}' as "createdAt",
  to_json(d.changed_at) #>> '{}' as "changedAt", d.revision, length(d.text) as size,
  -- also of a release that kept no editors
  array(select distinct unnest(d.editors || d.author || d.changed_by)) as editors`

export function createPolicyDrafts(database: Database): PolicyDrafts {
  return {
    async list({ after, limit = PAGE_ROWS }) {
      const { rows } = await database.ask((db) =>
        db.execute<Row<DraftSummary>>(sql`select ${SUMMARY} from policy_drafts d where ${earlier(after)}
          order by d.changed_at desc, d.id desc limit ${limit + 1}`)
      )
      return pageOf(rows, limit, ({ id, changedAt }) => ({ id, changedAt }))
    },
    async byId(id) {
      const { rows: [draft] } = await database.ask((db) =>
        db.execute<Row<PolicyDraft>>(sql`select ${SUMMARY}, d.text from policy_drafts d where d.id = ${id}`)
      )
      return draft
    },
  }
}

function earlier(after: DraftCursor | undefined): SQL {
  if (after === undefined) return sql`true`
  return sql`(d.changed_at, d.id) < (${after.changedAt}::timestamptz, ${after.id})`
}

export function draftsUnit(tx: Transaction): DraftsUnit {
  return {
    async target(id) {
      const { rows: [draft] } = await tx.execute<Row<PolicyDraft>>(
        sql`select ${SUMMARY}, d.text from policy_drafts d where d.id = ${id} for update of d`,
      )
      return draft
    },
    async add({ text, message, base, editor, tokenId }) {
      await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('gatehouse policy drafts', 0))`)
      // guard: policy-drafts-bounded
      const { rows: [draft] } = await tx.execute<{ id: string }>(sql`
        insert into policy_drafts (id, text, message, base, author, changed_by, editors)
        select ${newDraftId()}, ${text}, ${message}, ${base}, ${editor}, ${editor}, ${editorsOf(editor, tokenId)}
        where (select count(*) from policy_drafts) < ${MOST_DRAFTS} returning id`)
      return draft?.id
    },
    async change(id, { text, message, base, editor, tokenId }) {
      await tx.execute(sql`update policy_drafts set text = ${text}, message = ${message}, base = ${base},
        changed_by = ${editor}, changed_at = clock_timestamp(), revision = revision + 1,
        editors = array(select distinct unnest(editors || ${editorsOf(editor, tokenId)})) where id = ${id}`)
    },
    async remove(id) {
      await tx.execute(sql`delete from policy_drafts where id = ${id}`)
    },
    async textOfVersion(number) {
      const { rows: [version] } = await tx.execute<{ text: string }>(
        sql`select text from policy_versions where number = ${number}`,
      )
      return version?.text
    },
    versionOf: (hash) => versionOf(tx, hash),
  }
}

/** Who has made a token knows it. */
function editorsOf(editor: string, tokenId: string | undefined): SQL {
  // guard: policy-editor-of-token
  return sql`array(select ${editor}::text union select k.created_by from tokens k where k.id = ${tokenId ?? null})`
}

/** The newest version with this hash; undefined: there is none. */
export async function versionOf(on: Pick<Transaction, 'execute'>, hash: string): Promise<number | undefined> {
  const { rows: [version] } = await on.execute<{ number: number | null }>(
    sql`select max(number) as number from policy_versions where hash = ${hash}`,
  )
  return version?.number ?? undefined
}
