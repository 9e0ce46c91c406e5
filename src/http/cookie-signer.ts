// Signs cookies in the format of @fastify/cookie: the value, a dot and the HMAC-SHA256 in base64 without padding. Its
// own signer calls createHmac() for each cookie, which dominated the cost of rejecting forged cookies; two one-shot
// hashes (RFC 2104) are cheaper. Tested against both createHmac() and that signer (test/http/cookie-signer.test.ts);
// measured in docs/decisions/fastify-session.md.
import { hash, timingSafeEqual } from 'node:crypto'

export interface CookieSigner {
  sign(value: string): string
  /** `renew`: signed with an older secret. */
  unsign(signed: string): { readonly valid: boolean, readonly renew: boolean, readonly value: string | null }
}

/** @param secrets the first one signs, all verify @param onUnknown called for a signature that none of them made */
export function createCookieSigner(secrets: readonly string[], onUnknown: () => void = () => {}): CookieSigner {
  const macs = secrets.map(createMac)
  const isEqual = createMacComparison()
  return {
    sign: (value) => `${value}.${macs[0]?.(value) ?? ''}`,
    unsign(signed) {
      const dot = signed.length - MAC_LENGTH - 1
      if (dot < 0 || signed[dot] !== '.') return INVALID
      const value = signed.slice(0, dot)
      const given = signed.slice(dot + 1)
      const index = macs.findIndex((mac) => isEqual(mac(value), given)) // guard: adv-rotation-session
      if (index !== -1) return { valid: true, renew: index > 0, value }
      onUnknown()
      return INVALID
    },
  }
}

const INVALID = { valid: false, renew: false, value: null }
const MAC_LENGTH = 43 // 32 bytes in base64 without padding

/**
 * Compares in constant time. The two buffers are reused for every comparison, so that a flood of forged cookies
 * allocates no memory; nothing may be awaited between writing and comparing.
 */
function createMacComparison(): (expected: string, given: string) => boolean {
  const expectedBytes = Buffer.alloc(MAC_LENGTH)
  const givenBytes = Buffer.alloc(MAC_LENGTH)
  return (expected, given) => {
    expectedBytes.write(expected)
    // guard: live-signature, adv-cookie-overwritten
    return givenBytes.write(given) === MAC_LENGTH && timingSafeEqual(expectedBytes, givenBytes)
  }
}

const BLOCK = 64 // bytes, of SHA-256
const INNER_PAD = 0x36
const OUTER_PAD = 0x5c
const MESSAGE_ROOM = 256 // a session id has 43 characters; longer messages get a buffer of their own

/** HMAC-SHA256 (RFC 2104) of a text in UTF-8, as base64 without padding. */
function createMac(secret: string): (text: string) => string {
  const bytes = Buffer.from(secret)
  const key = bytes.length > BLOCK ? hash('sha256', bytes, 'buffer') : bytes
  const inner = paddedKey(key, INNER_PAD, MESSAGE_ROOM)
  const outer = paddedKey(key, OUTER_PAD, 32)
  return (text) => {
    const maxBytes = 3 * text.length // of its UTF-8
    const message = maxBytes <= MESSAGE_ROOM ? inner : Buffer.concat([inner.subarray(0, BLOCK)], BLOCK + maxBytes)
    const length = BLOCK + message.write(text, BLOCK)
    outer.write(hash('sha256', message.subarray(0, length), 'binary'), BLOCK, 'latin1')
    return hash('sha256', outer, 'base64').slice(0, MAC_LENGTH)
  }
}

/** The key XOR the pad in the first block, and `room` bytes for what is hashed after it. */
function paddedKey(key: Buffer, pad: number, room: number): Buffer {
  const padded = Buffer.alloc(BLOCK + room)
  key.copy(padded)
  for (let index = 0; index < BLOCK; index++) padded[index] = pad ^ (padded[index] ?? 0)
  return padded
}
