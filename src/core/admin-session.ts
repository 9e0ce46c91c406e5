// Sessions of the admin console: a cookie of its own, and a row that belongs to the session of the person. It is read
// from the database with every request, together with that session and its user.
import { randomBytes } from 'node:crypto'
import type { SessionRights } from './access.js'

export const ADMIN_IDLE_MS = 30 * 60_000
export const ADMIN_LIFETIME_MS = 8 * 3_600_000

/** An admin session with the current rights of its user. */
export interface AdminSessionRecord extends Pick<SessionRights, 'isStaff' | 'isSuperuser' | 'permissions'> {
  /** Stays the same when the cookie gets a new id. */
  readonly id: string
  /** Public id of the session that it belongs to. */
  readonly sessionId: string
  readonly userId: string
  readonly username: string
  readonly name: string | null
  /** Claim of the person, for Entra ID's sign-in page. */
  readonly loginHint: string | null
  /** Seconds since 1970. */
  readonly authenticatedAt: number
  /** The authentication context that its last fresh sign-in asked for and got; null: none. */
  readonly acrs: string | null
}

export interface NewAdminSession {
  /** For the cookie; it is never stored. */
  readonly id: string
  /** Public id of a session that Entra ID has authenticated. */
  readonly sessionId: string
  /** Hash of the id that this one takes the place of: the admin session stays the same. */
  readonly replaces: Buffer | undefined
  /** The authentication context that this sign-in asked for and got. */
  readonly acrs?: string | undefined
}

/** Every method may throw `database_unavailable`. */
export interface AdminSessionStore {
  /** Undefined: there is none, it is over, or the session it belongs to is. Records the use once a minute at most. */
  find(id: string): Promise<AdminSessionRecord | undefined>
  /** @returns whether there is one now: not where the session has ended, or its user has no admin permission */
  begin(session: NewAdminSession): Promise<boolean>
  /** Ends every admin session of this session. */
  end(sessionId: string, correlationId: string): Promise<void>
}

/** The prefix separates the ids from those of sessions: neither cookie is accepted as the other. */
const PREFIX = 'adm_'

export function newAdminSessionId(): string {
  return `${PREFIX}${randomBytes(32).toString('base64url')}`
}

export function isAdminSessionId(text: string): boolean {
  return /^adm_[\w-]{43}$/.test(text) // guard: admin-id-apart
}
