// The claims of a verified assertion, checked for their types and named as applications read them.
import { AssertionError } from './assertion-error.js'
import type { Identity } from './identity.js'

const STRINGS = ['sub', 'sid', 'username'] as const
const LISTS = ['groups', 'permissions'] as const
const FLAGS = ['is_staff', 'is_superuser', 'email_verified'] as const

/** Claims that every assertion of Gatehouse has, beside those that RFC 7519 registers. */
export const IDENTITY_CLAIMS: readonly string[] = [...STRINGS, ...LISTS, ...FLAGS]

/**
 * @param payload of an assertion whose signature, audience and times have been verified
 * @throws {@link AssertionError} `invalid`, if a claim has the wrong type
 */
export function identityOf(payload: Readonly<Record<string, unknown>>): Identity {
  for (const name of STRINGS) if (typeof payload[name] !== 'string' || payload[name] === '') throw malformed(name)
  for (const name of LISTS) {
    if (!Array.isArray(payload[name]) || !payload[name].every((entry) => typeof entry === 'string')) {
      throw malformed(name)
    }
  }
  for (const name of FLAGS) if (typeof payload[name] !== 'boolean') throw malformed(name)
  const text = (name: string): string | undefined => typeof payload[name] === 'string' ? payload[name] : undefined
  return {
    sub: text('sub') ?? '',
    username: text('username') ?? '',
    email: text('email'),
    emailVerified: payload.email_verified === true,
    name: text('name'),
    groups: payload.groups as string[],
    permissions: payload.permissions as string[],
    isStaff: payload.is_staff === true,
    isSuperuser: payload.is_superuser === true,
    oid: text('oid'),
    tid: text('tid'),
    sid: text('sid') ?? '',
    expiresAt: typeof payload.exp === 'number' ? payload.exp : 0,
  }
}

function malformed(name: string): AssertionError {
  return new AssertionError('invalid', `the claim ${name} of the assertion is missing or has the wrong type`)
}
