// Acts on users. Each one locks the user, compares the version that the administrator has seen, and refuses what is
// above the administrator's own rights.
import type { Acting, ActTransaction, NewPerson, PersonTarget } from '../../core/acts.js'
import {
  requireMayActUpon,
  requireSuperuser,
  requireSuperuserLeft,
  requireWithinOwnRights,
  type Gain,
} from '../../core/ceiling.js'
import { GatehouseError } from '../../core/errors.js'
import type { PersonView } from '../../core/people.js'
import { isUsername, MAX_USERNAME, usernameKey } from '../../core/user.js'
import { requireVersion } from '../../core/version-tag.js'
import { checkText } from '../text.js'
import { perform, type ActContext } from './perform.js'

export interface PeopleActs {
  /** For emergencies and for applications' own accounts: no sign-in changes this user. @returns the id */
  add(person: NewPerson, acting: Acting): Promise<{ readonly id: string }>
  setActive(userId: string, active: boolean, acting: Acting): Promise<ChangedPerson>
  /** Erases the profile, ends sessions, keeps the username reserved. */
  remove(userId: string, acting: Acting): Promise<ChangedPerson>
  /** Superusers alone. The old name stays reserved. */
  rename(userId: string, username: string, acting: Acting): Promise<RenamedPerson>
  /** Superusers alone: to applications the next holder of the name is the one before. */
  releaseName(username: string, now: boolean, acting: Acting): Promise<{ readonly availableFrom: string | null }>
}

export interface ChangedPerson {
  readonly username: string
  /** False: it was so already. */
  readonly changed: boolean
  readonly sessionsEnded: number
}

export interface RenamedPerson {
  readonly before: string
  readonly changed: boolean
}

export interface PeopleActsDeps {
  readonly transaction: ActTransaction
  /** Of the configuration in force. */
  readonly reservedUsernames: () => readonly string[]
}

const PEOPLE = { permission: 'gatehouse.people', inTurn: true } as const
const SESSIONS = { permission: 'gatehouse.sessions', inTurn: true } as const

/** What an edit must have seen: not what changes by itself, such as sessions and times. */
export function personVersion(person: PersonView): unknown {
  const { username, email, isActive, isStaff, isSuperuser, isBreakGlass, staffCause, superuserCause, groups } = person
  const held = groups.map(({ name, cause, until }) => [name, cause, until === null ? null : Date.parse(until)])
  return [username, email, isActive, isStaff, isSuperuser, isBreakGlass, staffCause, superuserCause, held]
}

export function createPeopleActs({ transaction, reservedUsernames }: PeopleActsDeps): PeopleActs {
  return {
    async add(person, acting) {
      checkText(person.username, person.email)
      requireUsername(person.username)
      // a command may: its user has the configuration itself
      if (acting.admin !== undefined) refuseReserved(person.username, reservedUsernames()) // guard: act-add-reserved
      return await perform(transaction, acting, PEOPLE, async (context) => await add(person, context))
    },
    setActive: (userId, active, acting) =>
      perform(
        transaction,
        acting,
        active ? PEOPLE : SESSIONS,
        async (context) => await setActive(userId, active, context),
      ),
    remove: (userId, acting) => perform(transaction, acting, PEOPLE, async (context) => await remove(userId, context)),
    async rename(userId, username, acting) {
      checkText(username)
      requireUsername(username)
      refuseReserved(username, reservedUsernames()) // guard: adv-rename-reserved
      return await perform(transaction, acting, PEOPLE, async (context) => await rename(userId, username, context))
    },
    async releaseName(username, now, acting) {
      checkText(username)
      return await perform(transaction, acting, PEOPLE, async ({ unit, holder, record }) => {
        requireSuperuser(holder)
        const { availableFrom, changed } = await unit.people.releaseName(username, now)
        // guard: adv-release-recorded
        if (changed) await record({ action: 'user.release', detail: { username, now, availableFrom } })
        return { availableFrom }
      })
    },
  }
}

async function add(person: NewPerson, { unit, holder, record }: ActContext): Promise<{ id: string }> {
  const { username, email, breakGlass = false } = person
  requireWithinOwnRights(holder, { breakGlass })
  const id = await unit.people.add(person)
  const after = { username, email: email ?? null, breakGlass }
  await record({ action: 'user.add', userId: id, username, before: null, after })
  return { id }
}

async function setActive(userId: string, active: boolean, context: ActContext): Promise<ChangedPerson> {
  const { unit, record } = context
  const target = await targetOf(userId, context, { takesRights: !active })
  const { username, isActive } = target
  if (active) requireWithinOwnRights(context.holder, rightsOf(target)) // guard: act-activate-ceiling
  if (isActive === active) return { username, changed: false, sessionsEnded: 0 }
  const sessionsEnded = await unit.people.setActive(userId, active)
  await record({
    action: active ? 'user.activate' : 'user.deactivate',
    userId,
    username,
    before: { active: !active },
    after: { active },
    detail: { sessionsEnded },
  })
  return { username, changed: true, sessionsEnded }
}

/** What an inactive user has again with the activation. */
function rightsOf({ isStaff, isSuperuser, isBreakGlass, permissions }: PersonTarget): Gain {
  return { staff: isStaff, superuser: isSuperuser, breakGlass: isBreakGlass, permissions }
}

async function remove(userId: string, context: ActContext): Promise<ChangedPerson> {
  const { username } = await targetOf(userId, context, { takesRights: true })
  const sessionsEnded = await context.unit.people.remove(userId)
  await context.record({ action: 'user.remove', userId, detail: { sessionsEnded } }) // the name is erased
  return { username, changed: true, sessionsEnded }
}

async function rename(userId: string, username: string, context: ActContext): Promise<RenamedPerson> {
  requireSuperuser(context.holder)
  const { username: before } = await targetOf(userId, context, { takesRights: false })
  if (before === username) return { before, changed: false }
  await context.unit.people.rename(userId, username)
  // guard: adv-rename-recorded
  await context.record({ action: 'user.rename', userId, username, before: { username: before }, after: { username } })
  return { before, changed: true }
}

/**
 * The user, locked, as the administrator has seen them.
 * @throws GatehouseError `user_unknown`, `above_own_rights`, `version_stale`, `last_superuser`
 */
export async function targetOf(
  userId: string,
  { unit, holder, acting }: ActContext,
  { takesRights }: { readonly takesRights: boolean },
): Promise<PersonTarget> {
  const target = await unit.people.target(userId)
  if (target === undefined) throw userUnknown()
  requireMayActUpon(holder, target)
  if (acting.ifMatch !== undefined) {
    const seen = await unit.people.view(userId)
    if (seen === undefined) throw userUnknown()
    requireVersion(acting.ifMatch, personVersion(seen))
  }
  const isSuperuser = target.isSuperuser && target.isActive
  if (takesRights && isSuperuser && acting.admin !== undefined) {
    requireSuperuserLeft(await unit.people.hasOtherSuperuser(userId) ? 1 : 0) // guard: act-superuser-left
  }
  return target
}

function userUnknown(): GatehouseError {
  return new GatehouseError('user_unknown', { detail: 'there is no user with this id; it may have been removed' })
}

function requireUsername(username: string): void {
  if (isUsername(username)) return
  throw new GatehouseError('username_invalid', {
    detail: `${JSON.stringify(username)} is not a valid username`,
    remedy: `At most ${MAX_USERNAME} visible characters, no white space, no colon.`,
  })
}

function refuseReserved(name: string, reserved: readonly string[]): void {
  if (!reserved.some((each) => usernameKey(each) === usernameKey(name))) return
  throw new GatehouseError('username_reserved', {
    detail: `reservedUsernames in the configuration names ${name}`,
    remedy: 'Choose another name, or take this one out of reservedUsernames.',
  })
}
