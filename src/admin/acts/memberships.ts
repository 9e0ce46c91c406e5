// Local groups that an administrator gives a user by hand, with or without an end, and takes away again. What the
// mapping grants is changed in the mapping or in Entra ID, and nowhere else.
import type { Acting, ActTransaction, MembershipGroup } from '../../core/acts.js'
import { requireWithinOwnRights } from '../../core/ceiling.js'
import { GatehouseError } from '../../core/errors.js'
import type { MappingRow } from '../../core/mapping.js'
import { rightsHeld } from '../person.js'
import { checkText } from '../text.js'
import { targetOf } from './people.js'
import { perform, type ActContext } from './perform.js'

export interface MembershipActs {
  /**
   * A membership that was given before gets this end. Where the mapping grants the group nothing changes.
   * @throws GatehouseError `group_unknown`, `user_unknown`, `above_own_rights`, `request_malformed` (the end)
   */
  give(asked: AskedMembership, acting: Acting): Promise<GivenMembership>
  /** @throws GatehouseError `group_unknown`, `membership_unknown`, `group_mapped`, `above_own_rights` */
  take(userId: string, group: string, acting: Acting): Promise<TakenMembership>
}

export interface AskedMembership {
  readonly userId: string
  readonly group: string
  /** ISO 8601 with a time zone; undefined: it has no end. */
  readonly until: string | undefined
}

export interface GivenMembership {
  /** False: it was so already, or the mapping grants it. */
  readonly changed: boolean
  readonly byHand: boolean
  readonly until: string | null
  /** The user has an Entra identity: the next sign-in or re-evaluation takes it away, whatever `until` is. */
  readonly endsAtNextSignIn: boolean
}

export interface TakenMembership {
  /** When it would have ended. */
  readonly until: string | null
}

export interface MembershipActsDeps {
  readonly transaction: ActTransaction
  /** The mapping in force: a refusal names its rows. */
  readonly mapping: () => readonly MappingRow[]
}

const PEOPLE = { permission: 'gatehouse.people', inTurn: true } as const

export function createMembershipActs({ transaction, mapping }: MembershipActsDeps): MembershipActs {
  return {
    async give(asked, acting) {
      checkText(asked.group)
      const end = asked.until === undefined ? undefined : instantOf(asked.until)
      return await perform(transaction, acting, PEOPLE, async (context) => await give(asked, end, context))
    },
    async take(userId, group, acting) {
      checkText(group)
      return await perform(transaction, acting, PEOPLE, async (context) => {
        return await take(userId, group, context, mapping())
      })
    },
  }
}

async function give(
  { userId, group: name }: AskedMembership,
  end: Date | undefined,
  context: ActContext,
): Promise<GivenMembership> {
  const { unit: { memberships }, holder, record } = context
  const { username } = await targetOf(userId, context, { takesRights: false })
  const group = await groupOf(name, context)
  requireWithinOwnRights(holder, { permissions: group.permissions }) // guard: act-give-ceiling
  await requireFuture(end, context)
  const until = end?.toISOString() ?? null
  await memberships.recordEnded(userId)
  const before = await memberships.find(userId, group.id)
  if (before?.byHand === false) { // guard: act-give-mapped
    return { changed: false, byHand: false, until: null, endsAtNextSignIn: false }
  }
  const given = { byHand: true, until, endsAtNextSignIn: await memberships.hasEntraIdentity(userId) }
  if (before !== undefined && before.until === until) return { ...given, changed: false }
  await memberships.give(userId, group.id, until)
  await record({
    action: 'user.group.given',
    userId,
    username,
    before: before === undefined ? null : { until: before.until },
    after: { until },
    detail: { group: name },
  })
  return { ...given, changed: true }
}

async function take(
  userId: string,
  name: string,
  context: ActContext,
  mapping: readonly MappingRow[],
): Promise<TakenMembership> {
  const { unit: { memberships }, record } = context
  const { username } = await targetOf(userId, context, { takesRights: false })
  const group = await groupOf(name, context)
  const held = await memberships.find(userId, group.id)
  if (held === undefined) {
    throw new GatehouseError('membership_unknown', { detail: `${username} is not in ${name}, or not any more` })
  }
  // guard: act-take-by-hand
  if (!held.byHand) throw await mapped({ userId, username, name }, context, mapping)
  await memberships.take(userId, group.id)
  const { until } = held
  await record({
    action: 'user.group.taken',
    userId,
    username,
    before: { until },
    after: null,
    detail: { group: name },
  })
  return { until }
}

/** Locked, so that it is neither renamed nor removed meanwhile. */
async function groupOf(name: string, { unit: { memberships } }: ActContext): Promise<MembershipGroup> {
  const group = await memberships.group(name)
  if (group !== undefined) return group
  throw new GatehouseError('group_unknown', {
    sentence: `There is no local group of this name (${name}). Names are compared exactly.`,
    detail: `there is no group ${name}; it may have been renamed or removed`,
  })
}

/** The clock of the database decides, as it does about the end. */
async function requireFuture(end: Date | undefined, { unit: { memberships } }: ActContext): Promise<void> {
  if (end === undefined) return
  const now = await memberships.now()
  if (end.getTime() > now) return // guard: act-give-future
  throw new GatehouseError('request_malformed', {
    sentence: `The end must be in the future. It is ${new Date(now).toISOString()} now.`,
    facts: { parameter: 'until' },
  })
}

/** @throws GatehouseError `request_malformed` */
function instantOf(text: string): Date {
  const instant = new Date(text)
  // guard: act-give-time-zone
  if (/[t ].*(?:z|[+-]\d\d:?\d\d)$/i.test(text) && !Number.isNaN(instant.getTime())) return instant
  throw new GatehouseError('request_malformed', {
    sentence: 'The end must be an instant with a time zone, for example 2026-11-28T18:00:00Z.',
    facts: { parameter: 'until' },
  })
}

/** Says which row, and where to change it. */
async function mapped(
  { userId, username, name }: { readonly userId: string, readonly username: string, readonly name: string },
  { unit }: ActContext,
  mapping: readonly MappingRow[],
): Promise<GatehouseError> {
  const person = await unit.people.view(userId)
  const rights = person === undefined
    ? []
    : rightsHeld({ person, mapping, entraGroupIds: undefined, groups: new Map() })
  const reasons = rights.find((right) => right.kind === 'group' && right.name === name)?.reasons ?? []
  const rows = reasons.map(({ row, label, entraGroup, inForce }) =>
    `${inForce ? `row ${row}` : `row ${row} of an earlier mapping`} (Entra group ${label ?? entraGroup})`
  ).join(', ')
  return new GatehouseError('group_mapped', {
    sentence: `The group mapping gives ${username} the group ${name}: ${rows}. ` +
      'Change the mapping, or the membership of the Entra group.',
    detail: `the mapping gives ${username} the group ${name}: ${rows}`,
    remedy: 'Change groupMapping, or the membership in Entra ID; then the user signs in again or is re-evaluated.',
  })
}
