// Users as administrators see them: lists with filters, and one user with the reasons for every right.
import type { Cause } from './mapping.js'
import type { Page, PageRequest } from './page.js'

export interface GrantedGroup {
  readonly name: string
  /** The mapping rows that caused the membership; null: assigned by hand. */
  readonly cause: readonly Cause[] | null
  readonly since: string
  /** When it ends; null: it has no end. Only one that was assigned by hand has one. */
  readonly until: string | null
}

export interface EntraIdentity {
  readonly tid: string
  readonly oid: string
  /** The last principal name that Entra ID reported, and the time. */
  readonly upn: string | null
  readonly upnSeenAt: string | null
}

export interface PersonView {
  readonly id: string
  readonly username: string
  readonly email: string | null
  readonly emailVerified: boolean
  readonly name: string | null
  readonly isActive: boolean
  readonly isStaff: boolean
  readonly isSuperuser: boolean
  readonly isBreakGlass: boolean
  readonly staffCause: readonly Cause[] | null
  readonly staffSince: string | null
  readonly superuserCause: readonly Cause[] | null
  readonly superuserSince: string | null
  readonly groups: readonly GrantedGroup[]
  readonly identities: readonly EntraIdentity[]
  /** Usernames of other users whose principal name in Entra ID is this one's username now. */
  readonly namesakes: readonly string[]
  /** The number of Entra groups in the last snapshot, and the time of the snapshot. */
  readonly entraGroups: number | null
  readonly readAt: string | null
  readonly createdAt: string
  readonly lastLoginAt: string | null
  readonly liveSessions: number
}

/** A user in a list: without reasons, so that a page of a list is small. */
export interface PersonSummary {
  readonly id: string
  readonly username: string
  readonly name: string | null
  readonly email: string | null
  readonly isActive: boolean
  readonly isStaff: boolean
  readonly isSuperuser: boolean
  readonly isBreakGlass: boolean
  /** Entra ID said at the last sign-in that the account is a guest of the tenant. */
  readonly isGuest: boolean
  readonly groupCount: number
  /** Of these groups, how many an administrator assigned by hand. */
  readonly handMadeCount: number
  readonly lastLoginAt: string | null
  /** The last sign-in or the last recorded use of a session. */
  readonly lastSeenAt: string | null
}

/** A member of a local group, with the reason. */
export interface MemberView {
  readonly id: string
  readonly username: string
  readonly name: string | null
  readonly isActive: boolean
  readonly cause: readonly Cause[] | null
  readonly since: string
  /** When it ends; null: it has no end. */
  readonly until: string | null
}

/** A user fulfils every condition that is given. */
export interface PeopleFilter {
  /**
   * A part of a username, UPN, e-mail address, display name or family name, in any case; or a whole object ID or user
   * id. Where the part has no three letters or digits in a row, or the database no extension pg_trgm: the beginning.
   */
  readonly q?: string | undefined
  readonly staff?: boolean | undefined
  readonly superuser?: boolean | undefined
  readonly active?: boolean | undefined
  readonly guest?: boolean | undefined
  /** Whether an administrator assigned a local group by hand. */
  readonly handMade?: boolean | undefined
  /** Neither a sign-in nor a use of a session since; a user who never signed in counts from their creation. */
  readonly notSeenDays?: number | undefined
  /** Members of the local group of this name. */
  readonly group?: string | undefined
}

/**
 * The next page begins after this username, or after this name that was found and its user. A search lists users by the
 * beginnings that were found, and then by username those of whom a name has the text further on.
 */
export type PeopleCursor = { readonly username: string } | { readonly term: string, readonly id: string }

export type PeopleRequest = PeopleFilter & PageRequest<PeopleCursor>

/**
 * In the order of usernames; with `q` alone the names that begin with it come first. Each user comes once. A page may
 * have fewer rows than its limit, also none, although it is not the last: then few of those that were examined fulfil
 * the filters.
 */
export interface PeopleStore {
  list(request: PeopleRequest): Promise<Page<PersonSummary, PeopleCursor>>
  /** The same users with their reasons. */
  listDetailed(request: PeopleRequest): Promise<Page<PersonView, PeopleCursor>>
  members(request: PeopleRequest & { readonly group: string }): Promise<Page<MemberView, PeopleCursor>>
  /**
   * @param user the first match of username, last UPN reported by Entra ID, e-mail (when it names one person) and id
   * @throws `user_unknown`, `user_ambiguous`
   */
  find(user: string): Promise<PersonView>
  byId(id: string): Promise<PersonView | undefined>
}

/** An administrator looked at a user. */
export interface PersonViewed {
  readonly actor: string
  readonly userId: string
  readonly username: string
  readonly correlationId: string
  /** From where: the session and the address of the administrator. */
  readonly detail: Readonly<Record<string, unknown>>
}

/** Writes it to the audit record, at most once a minute for each actor and user. A failure refuses the view. */
export type RecordPersonViewed = (viewed: PersonViewed) => Promise<void>
