// Changes by administrators, in the console, its API and the commands: who acts, and the port to the one transaction in
// which an act reads, compares, changes and records. src/admin/acts has the use cases.
import type { Holdings } from './ceiling.js'
import type { GroupsUnit } from './group-acts.js'
import type { PersonView } from './people.js'
import type { ApprovalTarget, ApprovedChange, PolicyApproval } from './policy-approval.js'
import type { DraftsUnit } from './policy-draft.js'
import type { ImagesUnit } from './policy-image.js'
import type { KeptPreview } from './policy-preview.js'
import type { NewDeployment } from './policy-version.js'
import type { ReviewsUnit } from './reviews.js'
import type { TokenKind } from './token.js'

/** An administrator in the console or its API, by a session of the console or by an API token. */
export type ActingAdmin = ActingBySession | ActingByToken

export interface ActingBySession {
  readonly userId: string
  /** Public id of the session. */
  readonly sessionId: string
  readonly adminSessionId: string
  readonly tokenId?: undefined
  readonly address: string
}

export interface ActingByToken {
  /** The owner of the token. */
  readonly userId: string
  /** Public id. */
  readonly tokenId: string
  readonly sessionId?: undefined
  readonly address: string
}

/** Who acts, and the circumstances that the audit record keeps. */
export interface Acting {
  /** As in the record: `admin:<user id>`, `cli:<os user>`. */
  readonly actor: string
  /** Undefined: a command. It has the database itself, so nothing is above its rights. */
  readonly admin: ActingAdmin | undefined
  readonly correlationId?: string | undefined
  readonly reason?: string | undefined
  /** The version that the administrator has seen (core/version-tag.ts); undefined: no version is compared. */
  readonly ifMatch?: string | undefined
}

export interface ActRow {
  readonly action: string
  readonly actor: string
  readonly userId?: string | undefined
  readonly username?: string | undefined
  readonly correlationId?: string | undefined
  readonly detail: Readonly<Record<string, unknown>>
}

/** The owner of a session, or another user whom an act is about. */
export interface ActTarget {
  readonly userId: string
  readonly username: string
  readonly isSuperuser: boolean
  readonly isBreakGlass: boolean
}

/** What an act reads and changes; all of it is one transaction. Each area of acts adds its own member. */
export interface ActUnit {
  /** Waits until no other act that waits for its turn is under way. */
  takeTurn(): Promise<void>
  /**
   * The rights of this moment, locked; undefined: the user is inactive, or the session of the console or the token is
   * over.
   */
  holdingsOf(admin: ActingAdmin): Promise<Holdings | undefined>
  record(row: ActRow): Promise<void>
  readonly sessions: SessionUnit
  readonly people: PeopleUnit
  readonly tokens: TokenUnit
  readonly memberships: MembershipUnit
  readonly reviews: ReviewsUnit
  readonly groups: GroupsUnit
  readonly keys: KeysUnit
  readonly drafts: DraftsUnit
  readonly policy: PolicyUnit
  readonly images: ImagesUnit
}

/** Deploys of the policy, where it is in the database. */
export interface PolicyUnit {
  /** Waits until no version is being added, and nothing is being written by the one in force. */
  takeTurn(): Promise<void>
  /** @throws GatehouseError `policy_changed`: another version is in force */
  requireOnto(onto: number): Promise<void>
  /** Permissions of the console (`gatehouse.*`) by the name of the local group that has them. */
  consolePermissions(): Promise<ReadonlyMap<string, readonly string[]>>
  /** Undefined: there is none. */
  previewsOf(draft: string): Promise<readonly KeptPreview[]>
  /** Locked, with the rights of their approvers. */
  approvals(target: ApprovalTarget): Promise<readonly PolicyApproval[]>
  /** In place of an earlier one of the same approver. */
  approve(target: ApprovalTarget, approverId: string, change: ApprovedChange): Promise<void>
  /** To everybody with an active session, by a replica; one that is under way goes on. */
  apply(version: number, asked: Pick<Acting, 'actor' | 'correlationId'>): Promise<void>
  /** As PolicyDeployments.deploy. All approvals are gone afterwards. */
  deploy(deployment: NewDeployment): Promise<number>
}

export interface SessionUnit {
  /** Locks the session. Undefined: there is none. */
  ownerOf(publicId: string): Promise<ActTarget | undefined>
  end(publicId: string): Promise<void>
  /** All of them in one statement, with an audit row for each owner, from which `row` is made. */
  endAll(which: SessionSelection, row: ActRow): Promise<EndedTogether>
}

export type SessionSelection =
  | { readonly userId: string }
  /** Of the application that was used last. */
  | { readonly host: string }
  | { readonly all: true }

export interface EndedTogether {
  readonly ended: number
  /** Whether an owner is a superuser or has break-glass. */
  readonly privileged: boolean
}

export interface PersonTarget extends ActTarget {
  readonly isActive: boolean
  readonly isStaff: boolean
  /** Of the user's groups. */
  readonly permissions: readonly string[]
}

export interface NewPerson {
  readonly username: string
  readonly email?: string | undefined
  readonly breakGlass?: boolean | undefined
}

export interface PeopleUnit {
  /** Locks the user. Undefined: there is none. */
  target(userId: string): Promise<PersonTarget | undefined>
  /** As the console shows the user, at this moment. */
  view(userId: string): Promise<PersonView | undefined>
  /** Whether another superuser is active; locks one of them. */
  hasOtherSuperuser(userId: string): Promise<boolean>
  /** @returns how many sessions have ended with it */
  setActive(userId: string, active: boolean): Promise<number>
  /** @returns the id @throws GatehouseError `username_taken` */
  add(person: NewPerson): Promise<string>
  /** Erases the profile, and the name from the record; the username stays reserved. @returns ended sessions */
  remove(userId: string): Promise<number>
  /** Reserves the old name. @throws GatehouseError `username_taken` */
  rename(userId: string, username: string): Promise<void>
  /** @returns what `users release` says @throws GatehouseError `username_taken`, `username_not_reserved` */
  releaseName(username: string, now: boolean): Promise<ReleasedName>
}

export interface MembershipGroup {
  readonly id: string
  readonly permissions: readonly string[]
}

export interface MembershipHeld {
  /** False: the mapping grants it. */
  readonly byHand: boolean
  /** ISO 8601 in UTC; null: it has no end. */
  readonly until: string | null
}

/** Memberships in local groups that administrators assign by hand. The user is locked (`people.target`). */
export interface MembershipUnit {
  /** The clock of the database, in milliseconds since 1970. */
  now(): Promise<number>
  /** Locks the local group of this name. Undefined: there is none. */
  group(name: string): Promise<MembershipGroup | undefined>
  /** Undefined: the user is not in the group, or the membership has ended. */
  find(userId: string, groupId: string): Promise<MembershipHeld | undefined>
  hasEntraIdentity(userId: string): Promise<boolean>
  /** What has ended is deleted, with its audit row: a new membership is none that goes on. */
  recordEnded(userId: string): Promise<void>
  /** By hand. It changes the end of one that was given before, and nothing where the mapping grants the group. */
  give(userId: string, groupId: string, until: string | null): Promise<void>
  /** One that was assigned by hand. */
  take(userId: string, groupId: string): Promise<void>
}

export interface KeysUnit {
  /** One rotation after the other. @param now the new key signs immediately, and all others are withdrawn */
  rotate(now: boolean): Promise<RotatedKey>
}

export interface RotatedKey {
  readonly kid: string
  /** False: a key that waits to sign is there already. */
  readonly changed: boolean
  /** Keys that are not published any more. */
  readonly withdrawn: readonly string[]
}

export interface ReleasedName {
  /** ISO 8601; null: now. */
  readonly availableFrom: string | null
  /** False: it was released already. */
  readonly changed: boolean
}

export interface TokenOwner {
  readonly userId: string
  readonly username: string
  readonly isActive: boolean
  readonly isBreakGlass: boolean
}

export interface AddedToken {
  /** Public. */
  readonly id: string
  readonly expiresAt: string
}

export interface TokenTarget extends ActTarget {
  readonly id: string
  readonly kind: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly isRevoked: boolean
}

export interface TokenUnit {
  /** Locks the user. Undefined: there is none. */
  owner(userId: string): Promise<TokenOwner | undefined>
  /** Undefined: the same request has made one already. */
  add(token: {
    readonly kind: TokenKind
    readonly name: string
    readonly ownerId: string
    readonly scopes: readonly string[]
    readonly lifetimeMs: number
    readonly hash: Buffer
    readonly requestId: string | undefined
    readonly createdBy: string
  }): Promise<AddedToken | undefined>
  /** Locks the token; the user is its owner. Undefined: there is none. */
  target(id: string): Promise<TokenTarget | undefined>
  revoke(id: string): Promise<void>
}

export type ActTransaction = <Result>(work: (unit: ActUnit) => Promise<Result>) => Promise<Result>

/** A refused act, for the record. */
export interface RefusedAct {
  readonly actor: string
  readonly correlationId: string
  readonly detail: Readonly<Record<string, unknown>>
}
