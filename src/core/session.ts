// Sessions: an opaque random id in one cookie, a row in the store under the id's hash, and a public id for people and
// logs. The row refers to the user and copies nothing: a change of the user applies to the session immediately.
import { createHash, randomBytes } from 'node:crypto'

/** All instants are from the database's clock. */
export interface SessionTimeouts {
  readonly idleTimeoutMs: number
  readonly absoluteTimeoutMs: number
  /** For staff and superusers; undefined: the same as for other users. */
  readonly privilegedTimeoutMs: number | undefined
}

/** A session with the current properties of its user. */
export interface SessionRecord {
  readonly publicId: string
  readonly userId: string
  readonly username: string
  readonly email: string | null
  readonly emailVerified: boolean
  readonly name: string | null
  readonly givenName: string | null
  readonly familyName: string | null
  readonly isStaff: boolean
  readonly isSuperuser: boolean
  readonly tid: string | null
  readonly oid: string | null
  readonly loginHint: string | null
  /** Local groups and the permissions they carry, sorted. */
  readonly groups: readonly string[]
  readonly permissions: readonly string[]
  /** Seconds since 1970. */
  readonly authTime: number
  readonly expiresAt: number
  /** How long the session remains valid from this read on, if it is not used again. */
  readonly expiresInMs: number
  /** How long groups and permissions hold from this read on: until the first membership ends. Null: none has an end. */
  readonly rightsEndInMs: number | null
  /** How long ago the last activity was written to the store. */
  readonly idleMs: number
}

/** Where a session is used from (session.recordClient). Null: not known. */
export interface SessionClient {
  /** Family of the browser: `Firefox`. */
  readonly browser: string | null
  /** The address according to trusted proxies. */
  readonly address: string | null
  /** Host of the application. */
  readonly host: string | null
}

export interface SessionUse {
  /** Hex of sessionIdHash. */
  readonly hash: string
  /** Undefined: not recorded. */
  readonly client?: SessionClient | undefined
}

/** What a login passes to the store; `id` itself is never stored. */
export interface NewSession {
  readonly id: string
  readonly publicId: string
  /** The session of this browser that the new one replaces. */
  readonly replaces: string | undefined
  /**
   * That session was created by another tab since the flow began. If it belongs to the same user it stays and no new
   * one is created; otherwise each tab would end the session that another tab uses.
   */
  readonly sibling: boolean
  /**
   * Public id of the browser's session, after a fresh sign-in of its user: it goes on under the new id, with its age as
   * it is. Where it has ended meanwhile, a new one is made.
   */
  readonly renews?: string | undefined
  /** Undefined: not recorded. */
  readonly client?: SessionClient | undefined
}

/**
 * Where sessions live. Conformance: test/helpers/session-store-conformance.ts. Every method may throw
 * `database_unavailable`.
 */
export interface SessionStore {
  /**
   * The active session with this id; undefined where there is none, it has ended, or its user is inactive. It writes
   * nothing.
   */
  find(id: string): Promise<SessionRecord | undefined>
  /** Records the use of sessions. What is null of a client stays as it was. Never restores an ended session. */
  touch(uses: readonly SessionUse[]): Promise<void>
  /** Recorded as a sign-out, where there was a session. */
  end(id: string, correlationId: string): Promise<void>
  /** Every session that began with this session of Entra ID. @returns the hashes (sessionIdHash) of those that ended */
  endByEntraSid(sid: string, correlationId: string): Promise<readonly Buffer[]>
}

export function newSessionId(): string {
  return randomBytes(32).toString('base64url')
}

/** 32 bytes of base64url, as newSessionId makes them. */
export function isSessionId(text: string): boolean {
  return /^[\w-]{43}$/.test(text)
}

export function newPublicSessionId(): string {
  return `ses_${randomBytes(9).toString('base64url')}`
}

/** A stolen table of hashes is useless: 256 random bits need no salt or key stretching. */
export function sessionIdHash(id: string): Buffer {
  return createHash('sha256').update(id).digest() // guard: security-session-hashed
}

/**
 * How old the recorded last use of a session may become before a use is recorded again (milliseconds): a tenth of the
 * idle timeout. A session is never over later than the idle timeout after its last use, and at most this much earlier.
 */
export function activityInterval(idleTimeoutMs: number): number {
  return idleTimeoutMs / 10 // guard: live-use-recorded
}
