// What the overview of the console counts, and the ports that read it.

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

export interface OverviewReader {
  signedIn(): Promise<SignedIn>
  superusers(): Promise<Superusers>
}
