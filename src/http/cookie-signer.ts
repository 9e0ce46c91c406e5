// Signs our cookies in the format of @fastify/cookie (a dot and the HMAC-SHA256 in base64, without padding), so that
// what was signed by its signer goes on. That one asks OpenSSL for an object each time, which made a forged cookie
// dearer than a warm answer; here an HMAC is what RFC 2104 says it is, two hashes.
import { hash, timingSafeEqual } from 'node:crypto'

export interface CookieSigner {
  sign(value: string): string
  /** `renew`: signed with an older secret. */
  unsign(signed: string): { readonly valid: boolean, readonly renew: boolean, readonly value: string | null }
}

/** @param secrets the first one signs, all verify @param unknown is told of a signature that none of them made */
export function createCookieSigner(secrets: readonly string[], unknown: () => void = () => {}): CookieSigner {
  const macs = secrets.map(createMac)
  return {
    sign: (value) => `${value}.${macs[0]?.(value) ?? ''}`,
    unsign(signed) {
      const dot = signed.length - MAC_LENGTH - 1
      if (dot < 0 || signed[dot] !== '.') return INVALID
      const value = signed.slice(0, dot)
      const given = signed.slice(dot + 1)
      const index = macs.findIndex((mac) => sameMac(mac(value), given)) // guard: adv-rotation-session
      if (index !== -1) return { valid: true, renew: index > 0, value }
      unknown()
      return INVALID
    },
  }
}

const INVALID = { valid: false, renew: false, value: null }
const BLOCK = 64 // bytes, of SHA-256
const MAC_LENGTH = 43 // of 32 bytes in base64 without padding

// Anybody can make us check a signature, as often as they like. So that this takes no memory each time, the same few
// bytes are written anew.
const expectedBytes = Buffer.alloc(MAC_LENGTH)
const givenBytes = Buffer.alloc(MAC_LENGTH)

function sameMac(expected: string, given: string): boolean {
  expectedBytes.write(expected)
  // guard: live-signature, adv-cookie-overwritten
  return givenBytes.write(given) === MAC_LENGTH && timingSafeEqual(expectedBytes, givenBytes)
}

/** HMAC-SHA256 of a text as UTF-8, in base64 without padding. */
function createMac(secret: string): (text: string) => string {
  const inner = Buffer.alloc(BLOCK + 256) // a session's id has 43; longer texts get room of their own
  const outer = Buffer.alloc(BLOCK + 32)
  const key = Buffer.from(secret)
  ;(key.length > BLOCK ? hash('sha256', key, 'buffer') : key).copy(inner)
  inner.copy(outer, 0, 0, BLOCK)
  for (let index = 0; index < BLOCK; index++) {
    inner[index] = 0x36 ^ (inner[index] ?? 0)
    outer[index] = 0x5c ^ (outer[index] ?? 0)
  }
  return (text) => {
    const most = 3 * text.length // bytes of its UTF-8
    const message = most <= inner.length - BLOCK ? inner : Buffer.concat([inner.subarray(0, BLOCK)], BLOCK + most)
    const length = BLOCK + message.write(text, BLOCK)
    outer.write(hash('sha256', message.subarray(0, length), 'binary'), BLOCK, 'latin1')
    return hash('sha256', outer, 'base64').slice(0, MAC_LENGTH)
  }
}
