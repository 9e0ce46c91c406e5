// Changes as commands make them, for tests that are about something else: the same use cases (src/admin/acts).
import { createActUseCases } from '../../src/act-use-cases.js'
import type { Acting, NewPerson } from '../../src/core/acts.js'
import type { SessionTimeouts } from '../../src/core/session.js'
import type { GroupPolicy } from '../../src/admin/acts/group-policy.js'
import type { GroupChange, GroupDefinition } from '../../src/core/group-definitions.js'
import type { Database } from '../../src/store/database.js'
import { createSessionsList } from '../../src/store/sessions-list.js'
import type { Query } from './sql.js'

const TIMEOUTS = { idleTimeoutMs: 3_600_000, absoluteTimeoutMs: 3_600_000, privilegedTimeoutMs: undefined }

/** A configuration that names no group. */
export const NAMES_NO_GROUP: GroupPolicy = { mapping: [], rules: [], defaultGroups: [], separators: [] }

function actsOf(database: Database, encryptionSecrets: readonly string[] = []) {
  return createActUseCases({
    database,
    timeouts: TIMEOUTS,
    encryptionSecrets,
    reservedUsernames: () => [],
    groupPolicy: () => NAMES_NO_GROUP,
  })
}

function by(actor: string): Acting {
  return { actor, admin: undefined }
}

export type UserAdmin = ReturnType<typeof createUserAdmin>
export type Usernames = ReturnType<typeof createUsernames>

export function createUserAdmin(database: Database) {
  const { people } = actsOf(database)
  return {
    async add(person: NewPerson, actor: string): Promise<void> {
      await people.add(person, by(actor))
    },
    /** @returns how many sessions ended; undefined: nothing changed */
    async setActive(userId: string, active: boolean, actor: string): Promise<number | undefined> {
      const { changed, sessionsEnded } = await people.setActive(userId, active, by(actor))
      return changed ? sessionsEnded : undefined
    },
    async remove(userId: string, actor: string): Promise<number> {
      return (await people.remove(userId, by(actor))).sessionsEnded
    },
  }
}

/** @returns the kid */
export async function rotateSigningKeys(database: Database, secret: string, now: boolean): Promise<string> {
  return (await actsOf(database, [secret]).keys.rotate({ now }, by('cli:test'))).kid
}

export function createUsernames(database: Database) {
  const { people } = actsOf(database)
  return {
    /** @returns the name before; undefined: nothing changed */
    async rename(userId: string, username: string, actor: string): Promise<string | undefined> {
      const { before, changed } = await people.rename(userId, username, by(actor))
      return changed ? before : undefined
    },
    async release(username: string, { now }: { readonly now: boolean }, actor: string): Promise<string | null> {
      return (await people.releaseName(username, now, by(actor))).availableFrom
    },
  }
}

export function createSessionAdmin(database: Database, timeouts: SessionTimeouts) {
  const { sessions } = actsOf(database)
  return {
    ...createSessionsList(database, timeouts),
    async revoke(publicId: string, actor: string): Promise<void> {
      await sessions.end(publicId, by(actor))
    },
    async revokeAll({ userId }: { readonly userId?: string | undefined }, actor: string): Promise<number> {
      const ending = userId === undefined
        ? sessions.endAll({ all: true }, by(actor))
        : sessions.endOf(userId, by(actor))
      return (await ending).ended
    },
  }
}

export function createGroupAdmin(database: Database) {
  const { groups } = actsOf(database)
  return {
    async add(group: Omit<GroupDefinition, 'permissions'>, actor: string): Promise<void> {
      await groups.add(group, by(actor))
    },
    async apply(
      definitions: readonly GroupDefinition[],
      { actor, dryRun }: { readonly actor: string, readonly dryRun: boolean },
    ): Promise<readonly GroupChange[]> {
      return (await groups.apply(definitions, { dryRun }, by(actor))).changes
    },
    async rename(name: string, to: string, actor: string): Promise<void> {
      await groups.change(name, { name: to }, by(actor))
    },
    /** @returns how many users were in it */
    async remove(name: string, actor: string): Promise<number> {
      return (await groups.remove(name, { force: false }, by(actor))).members
    },
    async grant(name: string, permission: string, actor: string): Promise<boolean> {
      return (await groups.grant(name, permission, by(actor))).changed
    },
    async revoke(name: string, permission: string, actor: string): Promise<boolean> {
      return (await groups.revoke(name, permission, by(actor))).changed
    },
  }
}

/**
 * Gives every user a session, and a session of the console that has just been signed in to.
 * @returns how a user acts in the console
 */
export async function administrators(query: Query): Promise<(username: string) => Promise<Acting>> {
  await query(`insert into sessions (id_hash, public_id, user_id)
    select sha256(username::bytea), 'ses_' || username, id from users`)
  await query(`insert into admin_sessions (id_hash, session_id, authenticated_at)
    select sha256(public_id::bytea), public_id, now() from sessions`)
  return async (username) => {
    const [row] = await query<{ user: string, admin: string }>(
      `select u.id as user, a.id as admin from users u join admin_sessions a on a.session_id = 'ses_' || u.username
      where u.username = $1`,
      [username],
    )
    if (row === undefined) throw new Error(`there is no user ${username}`)
    const { user: userId, admin: adminSessionId } = row
    const admin = { userId, sessionId: `ses_${username}`, adminSessionId, address: '192.0.2.1' }
    return { actor: `admin:${userId}`, admin, correlationId: 'c-1', reason: 'Lost.' }
  }
}
