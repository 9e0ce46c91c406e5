// Acts on sessions. What has ended is refused by every replica within a second (store/change-feed).
import type { Acting, ActTransaction } from '../../core/acts.js'
import { requireMayActUpon } from '../../core/ceiling.js'
import { sessionUnknown } from '../sessions.js'
import { checkText } from '../text.js'
import { perform } from './perform.js'

export interface EndedSessions {
  readonly ended: number
}

export interface SessionActs {
  /** @throws GatehouseError `session_unknown`, `above_own_rights`, and what every act throws (perform.ts) */
  end(publicId: string, acting: Acting): Promise<EndedSessions>
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
  }
}
