// A person as Gatehouse keeps them: the username, and what may be written over at a login.
import { randomBytes } from 'node:crypto'

export interface StoredUser {
  readonly id: string
  readonly username: string
  readonly email: string | null
  readonly isActive: boolean
  readonly isStaff: boolean
  readonly isSuperuser: boolean
  readonly isBreakGlass: boolean
}

/** What the id token says of the person and the users table keeps. */
export interface Profile {
  readonly email: string | null
  readonly emailVerified: boolean
  readonly name: string | null
  readonly givenName: string | null
  readonly familyName: string | null
}

export const MAX_USERNAME = 150
const SUFFIX_BYTES = 8

/** Two usernames with one key are the same username (compatibility forms and case do not tell people apart). */
export function usernameKey(username: string): string {
  return username.normalize('NFKC').toLowerCase().normalize('NFKC')
}

/** The characters python-social-auth keeps (Django's `\w.@+-`, ASCII alone), at most 150 of them. */
export function cleanUsername(raw: string): string {
  return raw.replace(/[^\w.@+-]/g, '').slice(0, MAX_USERNAME)
}

/** A name nobody else has: what fits of the base, then 64 random bits. */
export function suffixedUsername(base: string): string {
  const suffix = randomBytes(SUFFIX_BYTES).toString('hex')
  return base.slice(0, MAX_USERNAME - suffix.length) + suffix
}
