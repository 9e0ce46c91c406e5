// Forms of the console that wait for a fresh sign-in (core/admin-forms.ts). What a form may hold is recorded when it is
// executed (reasons, names of objects), so the values are not sealed; a form token is never among them. Number and size
// are limited for each admin session: the oldest are deleted first.
import { sql } from 'drizzle-orm'
import { FORM_KEPT_MS, type AdminForms, type FormPlace } from '../core/admin-forms.js'
import { isObjectId } from '../core/identity.js'
import type { Database } from './database.js'
import { ago } from './intervals.js'

export const MOST_FORMS = 20
export const MOST_FORM_BYTES = 16_000

export function createAdminForms(database: Database): AdminForms {
  return {
    async keep({ adminSessionId, act, path }, values) {
      const text = JSON.stringify(values)
      if (Buffer.byteLength(text) > MOST_FORM_BYTES) return undefined // guard: act-forms-small
      return await database.transaction(async (tx) => {
        const { rows: [kept] } = await tx.execute<{ id: string }>(sql`
          insert into admin_forms (admin_session, act, path, values)
          values (${adminSessionId}, ${act}, ${path}, ${text}::jsonb) returning id`)
        // guard: act-forms-bounded
        await tx.execute(sql`delete from admin_forms where id in (
          select id from admin_forms where admin_session = ${adminSessionId} order by kept_at desc, id
          offset ${MOST_FORMS})`)
        return kept?.id
      })
    },
    async find(id, place) {
      if (!isObjectId(id)) return undefined
      const { rows: [kept] } = await database.ask((db) =>
        db.execute<{ values: Record<string, string> }>(sql`
          select values from admin_forms f where f.id = ${id} and ${ofPlace(place)}
            and f.kept_at > ${ago(FORM_KEPT_MS)}`) // guard: act-forms-minutes
      )
      return kept?.values
    },
  }
}

function ofPlace({ adminSessionId, act, path }: FormPlace) {
  // guard: act-forms-bound
  return sql`f.admin_session = ${adminSessionId} and f.act = ${act} and f.path = ${path}`
}
