// For every act of the API a request that succeeds, and one that is above the rights of an administrator who has the
// permission. The matrix (acts.test.ts) fails for an act without a scene.
import type { Query } from '../../helpers/sql.js'
import { PEOPLE, type AdminScene, type Who } from './helper.js'

export interface ActRequest {
  /** Below /admin/api/v1, with the query. */
  readonly path: string
  readonly body?: unknown
  /** Header If-Match. */
  readonly ifMatch?: string
}

export interface ActScene {
  /** What Sue may do. Called again for each request that must succeed. */
  readonly allowed: (scene: AdminScene, query: Query) => Promise<ActRequest>
  /** What Gus may not do, although he has the permission of the act; undefined: the act gives and takes no rights. */
  readonly above: ((scene: AdminScene, query: Query) => Promise<ActRequest>) | undefined
}

const reason = 'reason=The%20laptop%20was%20lost'

/** A new session of this person. */
async function sessionOf(who: Who, { gateway }: AdminScene, query: Query): Promise<string> {
  await gateway.signIn(PEOPLE[who])
  const [session] = await query<{ id: string }>('select public_id as id from sessions order by created_at desc limit 1')
  return session?.id ?? ''
}

export const ACT_SCENES: Readonly<Record<string, ActScene>> = {
  deleteSessionsByPublicId: {
    allowed: async (scene, query) => ({ path: `/sessions/${await sessionOf('sam', scene, query)}?${reason}` }),
    above: async (scene, query) => ({ path: `/sessions/${await sessionOf('sue', scene, query)}?${reason}` }),
  },
}
