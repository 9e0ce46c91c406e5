// The one live preview of the installation: a row that the process which runs it renews. A process that does not renew
// it for a while has ended, and another one may begin.
import { sql } from 'drizzle-orm'
import {
  LIVE_LEASE_MS,
  type LivePreviewHolder,
  type LivePreviewRenewal,
  type LivePreviews,
  type LivePreviewStart,
  type NewLivePreview,
} from '../core/live-preview.js'
import { actorName } from './actor-name.js'
import type { Database } from './database.js'
import { interval } from './intervals.js'

/** A replica whose last heartbeat is older has ended, and so have its sign-ins. */
const HEARTBEAT_MS = 10_000

/** Of the replicas that run: the latest time until which Graph has asked the sign-ins of one to wait. */
const SIGN_INS_HELD_UNTIL = sql`(select max(throttled_until) from replicas
  where throttled_until > clock_timestamp() and heartbeat_at > clock_timestamp() - ${interval(HEARTBEAT_MS)})`

export function createLivePreviews(database: Database): LivePreviews {
  return {
    begin: (run) => begin(database, run),
    async renew(run) {
      const { rows: [row] } = await database.ask((db) =>
        db.execute<LivePreviewRenewal & Record<string, unknown>>(sql`
          with renewed as (update live_preview set renewed_at = clock_timestamp() where run = ${run} returning 1)
          select exists (select from renewed) as "isHeld",
            to_json(${SIGN_INS_HELD_UNTIL}) #>> '{}' as "signInsHeldUntil"`)
      )
      return row ?? { isHeld: false, signInsHeldUntil: null }
    },
    async end(run, waitMs = 0) {
      await database.ask((db) =>
        waitMs === 0
          ? db.execute(sql`delete from live_preview where run = ${run}`)
          : db.execute(sql`update live_preview set run = null, until = clock_timestamp() + ${interval(waitMs)}
              where run = ${run}`)
      )
    },
  }
}

interface Found extends LivePreviewHolder, Record<string, unknown> {
  readonly isBegun: boolean
  /** Of the row as it was. */
  readonly until: string | null
  readonly signInsHeldUntil: string | null
}

async function begin(database: Database, { run, actor, place }: NewLivePreview): Promise<LivePreviewStart> {
  // guard: policy-live-one
  const { rows: [found] } = await database.ask((db) =>
    db.execute<Found>(sql`
      with held as (select ${SIGN_INS_HELD_UNTIL} as until),
      begun as (
        insert into live_preview as l (run, actor, place) select ${run}, ${actor}, ${place} from held
        where held.until is null
        on conflict (singleton) do update set run = excluded.run, actor = excluded.actor, place = excluded.place,
          started_at = clock_timestamp(), renewed_at = clock_timestamp(), until = null
        where (l.run is null and (l.until is null or l.until <= clock_timestamp()))
          or (l.run is not null and l.renewed_at < clock_timestamp() - ${interval(LIVE_LEASE_MS)})
        returning 1)
      select exists (select from begun) as "isBegun", to_json(held.until) #>> '{}' as "signInsHeldUntil",
        l.actor, ${actorName('l.actor')} as "actorName", l.place, to_json(l.started_at) #>> '{}' as "startedAt",
        case when l.until > clock_timestamp() then to_json(l.until) #>> '{}' end as until
      from held left join live_preview l on true`)
  )
  if (found?.isBegun) return { kind: 'begun' }
  const signIns = found?.signInsHeldUntil
  if (typeof signIns === 'string') return { kind: 'paused', until: utc(signIns), asked: 'sign-ins' }
  if (typeof found?.until === 'string') return { kind: 'paused', until: utc(found.until), asked: 'preview' }
  const { actor: by = 'another process', actorName: name = null, place: at = '', startedAt } = found ?? {}
  const holder = { actor: by, actorName: name, place: at, startedAt: utc(startedAt ?? new Date().toISOString()) }
  return { kind: 'busy', holder }
}

function utc(time: string): string {
  return new Date(time).toISOString()
}
