// Signs our cookies in the format of @fastify/cookie (a dot and the HMAC-SHA256 in base64, without padding), so that what was signed by
// its signer goes on. That one asks OpenSSL for an object each time, which made a forged cookie dearer than a warm answer; here an HMAC is
// what RFC 2104 says it is, two hashes.
import { hash, timingSafeEqual } from 'node:crypto'

export interface CookieSigner {
  sign(value: string): string
  /** `renew`: signed with an older secret. */
  unsign(signed: string): { readonly valid: boolean, readonly renew: boolean, readonly value: string | null }
}

/** @param secrets the first one signs, all verify */
export function createCookieSigner(secrets: readonly string[]): CookieSigner {
  const macs = secrets.map(createMac)
  return {
    sign: (value) => `${value}.${macs[0]?.(value) ?? ''}`,
    unsign(signed) {
      const dot = signed.lastIndexOf('.')
      if (dot === -1) return INVALID
      const value = signed.slice(0, dot)
      const given = Buffer.from(signed.slice(dot + 1))
      const index = macs.findIndex((mac) => {
        const expected = Buffer.from(mac(value))
        return expected.length === given.length && timingSafeEqual(expected, given)
      })
      return index === -1 ? INVALID : { valid: true, renew: index > 0, value }
    },
  }
}

const INVALID = { valid: false, renew: false, value: null }
const BLOCK = 64 // bytes, of SHA-256

/** HMAC-SHA256 of a text as UTF-8. */
function createMac(secret: string): (text: string) => string {
  const key = Buffer.from(secret)
  const padded = Buffer.alloc(BLOCK)
  ;(key.length > BLOCK ? hash('sha256', key, 'buffer') : key).copy(padded)
  const inner = Buffer.from(padded.map((byte) => byte ^ 0x36))
  const outer = Buffer.from(padded.map((byte) => byte ^ 0x5c))
  return (text) => hash('sha256', Buffer.concat([outer, hash('sha256', Buffer.concat([inner, Buffer.from(text)]), 'buffer')]), 'base64').replace('=', '')
}
