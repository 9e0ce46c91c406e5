// Acts on sessions. What has ended is refused by every replica within a second (store/change-feed).
import type { Acting, ActTransaction, SessionSelection } from '../../core/acts.js'
import { requireMayActUpon } from '../../core/ceiling.js'
import { GatehouseError } from '../../core/errors.js'
import { sessionUnknown } from '../sessions.js'
import { checkText } from '../text.js'
import { perform, type ActContext } from './perform.js'

export interface EndedSessions {
  readonly ended: number
}

export interface SessionActs {
  /** @throws GatehouseError `session_unknown`, `above_own_rights`, and what every act throws (perform.ts) */
  end(publicId: string, acting: Acting): Promise<EndedSessions>
  /** @throws GatehouseError `user_unknown`, `above_own_rights` */
  endOf(userId: string, acting: Acting): Promise<EndedSessions>
  /**
   * All, or those whose last use was at this host. None ends where one of them is of a superuser or of a user with
   * break-glass, and the administrator is no superuser.
   * @throws GatehouseError `above_own_rights`
   */
  endAll(which: { readonly host: string } | { readonly all: true }, acting: Acting): Promise<EndedSessions>
}

const RULES = { permission: 'gatehouse.sessions', inTurn: false } as const

export function createSessionActs(transaction: ActTransaction): SessionActs {
  return {
    async end(publicId, acting) {
      checkText(publicId)
      return await perform(transaction, acting, RULES, async ({ unit, holder, record }) => {
        const owner = await unit.sessions.ownerOf(publicId)
        if (owner === undefined) throw sessionUnknown(publicId)
        requireMayActUpon(holder, owner)
        await unit.sessions.end(publicId)
        const { userId, username } = owner
        await record({ action: 'session.revoke', userId, username, detail: { session: publicId } })
        return { ended: 1 }
      })
    },
    endOf: (userId, acting) =>
      perform(transaction, acting, RULES, async (context) => {
        const target = await context.unit.people.target(userId)
        if (target === undefined) throw new GatehouseError('user_unknown', { detail: 'there is no user with this id' })
        requireMayActUpon(context.holder, target)
        return await endTogether({ userId }, context)
      }),
    async endAll(which, acting) {
      if ('host' in which) checkText(which.host)
      return await perform(transaction, acting, RULES, async (context) => await endTogether(which, context))
    },
  }
}

async function endTogether(which: SessionSelection, { unit, holder, rowOf }: ActContext): Promise<EndedSessions> {
  const { ended, privileged } = await unit.sessions.endAll(which, rowOf({ action: 'session.revoke' }))
  // What was ended comes back with the transaction.
  requireMayActUpon(holder, { isSuperuser: privileged, isBreakGlass: false }) // guard: act-end-all-privileged
  return { ended }
}
