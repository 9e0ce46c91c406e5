// API tokens: a prefix that says the kind, 32 random bytes and a checksum, so that scanners of secrets find them, and
// a mistyped or foreign one is refused before anything is read. Only a hash of the random bytes is stored.
import { createHash, randomBytes } from 'node:crypto'
import { adminPermissions } from './admin-permissions.js'
import type { Holdings } from './ceiling.js'

/** `admin` tokens are good for the admin API alone. */
export const TOKEN_PREFIXES = { admin: 'gha_' } as const

export type TokenKind = keyof typeof TOKEN_PREFIXES

const SECRET_BYTES = 32
/** 62 ** 43 is more than 2 ** 256. */
const SECRET_DIGITS = 43
/** 62 ** 6 is more than 2 ** 32. */
const CHECKSUM_DIGITS = 6
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const FORM = new RegExp(`^[0-9A-Za-z]{${SECRET_DIGITS + CHECKSUM_DIGITS}}$`)

export const TOKEN_LIFETIME_DAYS = 365
export const DAY_MS = 86_400_000

export interface NewToken {
  /** Shown once, and nowhere stored. */
  readonly token: string
  readonly hash: Buffer
}

/** @param secret 32 random bytes */
export function makeToken(kind: TokenKind, secret: Buffer = randomBytes(SECRET_BYTES)): NewToken {
  if (secret.length !== SECRET_BYTES) throw new Error(`a token has ${SECRET_BYTES} random bytes`)
  const body = `${TOKEN_PREFIXES[kind]}${inBase62(BigInt(`0x${secret.toString('hex')}`), SECRET_DIGITS)}`
  return { token: `${body}${checksumOf(body)}`, hash: tokenHash(secret) }
}

/** @returns the hash to look for; undefined: Gatehouse has never made such a token of this kind */
export function readToken(kind: TokenKind, text: string): Buffer | undefined {
  const prefix = TOKEN_PREFIXES[kind]
  if (!text.startsWith(prefix) || !FORM.test(text.slice(prefix.length))) return undefined
  const body = text.slice(0, -CHECKSUM_DIGITS)
  if (text !== `${body}${checksumOf(body)}`) return undefined // guard: token-checksum
  const number = fromBase62(body.slice(prefix.length))
  if (number >= 1n << 256n) return undefined
  return tokenHash(Buffer.from(number.toString(16).padStart(2 * SECRET_BYTES, '0'), 'hex'))
}

/** Whether this is meant as a token of Gatehouse, valid or not: it then decides alone. */
export function isOurToken(text: string): boolean {
  return /^gha?_/.test(text) // guard: token-ours
}

export function newPublicTokenId(): string {
  return `tok_${randomBytes(9).toString('base64url')}`
}

/** 256 random bits need no salt or key stretching. */
function tokenHash(secret: Buffer): Buffer {
  return createHash('sha256').update(secret).digest() // guard: token-hashed
}

/** Also over the prefix: a token of one kind is not one of another. */
function checksumOf(body: string): string {
  return inBase62(BigInt(createHash('sha256').update(body).digest().readUInt32BE(0)), CHECKSUM_DIGITS)
}

function inBase62(number: bigint, length: number): string {
  let text = ''
  for (let rest = number; text.length < length; rest /= 62n) text = `${DIGITS[Number(rest % 62n)]}${text}`
  return text
}

function fromBase62(text: string): bigint {
  return [...text].reduce((number, digit) => number * 62n + BigInt(DIGITS.indexOf(digit)), 0n)
}

/**
 * What an admin token is worth at this moment: what its scopes and the rights of its owner both allow. It is never
 * worth a flag, so acts upon superusers and what only superusers do are above it, also where a superuser owns it.
 */
export function tokenHoldings(scopes: readonly string[], owner: Holdings): Holdings {
  const held = adminPermissions(owner)
  const asked = adminPermissions({ isStaff: false, isSuperuser: false, permissions: scopes })
  const permissions = [...asked].filter((word) => held.has(word)) // guard: token-scopes
  return { isStaff: false, isSuperuser: false, permissions }
}
