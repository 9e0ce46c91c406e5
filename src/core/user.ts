// A user as Gatehouse stores them: the username, and the properties that a login may overwrite.
import { createHash } from 'node:crypto'

export interface StoredUser {
  readonly id: string
  readonly username: string
  readonly email: string | null
  readonly isActive: boolean
  readonly isStaff: boolean
  readonly isSuperuser: boolean
  readonly isBreakGlass: boolean
}

/** The claims of the ID token that the users table stores. */
export interface Profile {
  readonly email: string | null
  readonly emailVerified: boolean
  readonly name: string | null
  readonly givenName: string | null
  readonly familyName: string | null
}

/** Tenant and object ID: together they identify the user. */
interface PersonIds {
  readonly tid: string
  readonly oid: string
}

export const MAX_USERNAME = 150
/** A released or former username is not given to another user for so long: applications may still have data of it. */
export const RELEASED_NAME_DAYS = 180
/** Hexadecimal digits of the suffix; the longer ones only where the shorter one is taken too. */
const SUFFIX_DIGITS = [8, 16, 32, 64] as const // guard: adv-suffix-longer

/** Two usernames with one key are the same username (compatibility forms and case are ignored). */
export function usernameKey(username: string): string {
  return username.normalize('NFKC').toLowerCase().normalize('NFKC')
}

/** The characters python-social-auth keeps (Django's `\w.@+-`, ASCII alone), at most 150 of them. */
export function cleanUsername(raw: string): string {
  return raw.replace(/[^\w.@+-]/g, '').slice(0, MAX_USERNAME) // guard: username-cleaned
}

/** Whether a command may give this name: no white space, no control character, and no colon (programs have those). */
export function isUsername(text: string): boolean {
  return text !== '' && text.length <= MAX_USERNAME && !/[\s:\p{C}]/u.test(text) // guard: adv-no-colon
}

/**
 * The names that a new user may get, the preferred one first: the cleaned source, then the same with a suffix.
 *
 * The suffix is a part of SHA-256(tid:oid): where the cleaned name is taken, it is the same one in every database.
 * The cleaned source itself is no candidate where cleaning left no name, or another domain behind the `@`: that would
 * be an address in the domain of another organisation.
 */
export function usernameCandidates(source: string, { tid, oid }: PersonIds): string[] {
  const cleaned = cleanUsername(source)
  const [local, domain] = splitAtDomain(cleaned)
  // guard: adv-suffix-of-the-person
  const digest = createHash('sha256').update(`${tid}:${oid}`.toLowerCase()).digest('hex')
  const suffixed = SUFFIX_DIGITS.map((digits) => suffixedUsername(local, domain, digest.slice(0, digits)))
  // guard: adv-suffix-only-where-taken, adv-domain-not-cleaned, adv-no-empty-name
  return local === '' || domain !== splitAtDomain(source)[1] ? suffixed : [cleaned, ...suffixed]
}

function suffixedUsername(local: string, domain: string, suffix: string): string {
  const kept = domain.slice(0, MAX_USERNAME - suffix.length)
  const room = MAX_USERNAME - kept.length - suffix.length - 1
  // guard: room-for-suffix, adv-suffix-before-domain
  return local === '' || room <= 0 ? `${suffix}${kept}` : `${local.slice(0, room)}-${suffix}${kept}`
}

/** The domain begins with the last `@`; empty where there is none. */
function splitAtDomain(name: string): readonly [local: string, domain: string] {
  const at = name.lastIndexOf('@')
  return at < 0 ? [name, ''] : [name.slice(0, at), name.slice(at)]
}
