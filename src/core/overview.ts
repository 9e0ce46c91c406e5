// What the overview of the console counts, and the ports that read it.
import type { Page, PageRequest } from './page.js'

export interface SignedIn {
  readonly sessions: number
  readonly people: number
}

export interface Superuser {
  readonly userId: string
  readonly username: string
}

export interface SuperuserChange {
  readonly userId: string | null
  /** Null: the user was removed since. */
  readonly username: string | null
  readonly at: string
  readonly change: 'gained' | 'lost'
}

export interface Superusers {
  /** Active users with the flag. */
  readonly count: number
  /** Within a week, newest first; at most 50 of each kind. */
  readonly changes: readonly SuperuserChange[]
}

/** An active user with the flag at some instant. */
export interface SuperuserThen {
  readonly id: string
  readonly username: string
  readonly name: string | null
  /** Whether they are one now: active, with the flag. */
  readonly isSuperuser: boolean
}

export interface SuperusersThen extends Page<SuperuserThen, UsernameCursor> {
  /** Since when the audit has every change of a flag; null: it has no row. Of earlier instants it does not know. */
  readonly recordedSince: string | null
}

export interface UsernameCursor {
  readonly username: string
}

export interface OverviewReader {
  signedIn(): Promise<SignedIn>
  superusers(): Promise<Superusers>
  /** In the order of usernames. Users who were removed since are not among them. */
  superusersAt(request: PageRequest<UsernameCursor> & { readonly at: Date }): Promise<SuperusersThen>
}
