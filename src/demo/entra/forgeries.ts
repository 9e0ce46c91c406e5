// ID tokens that a client has to refuse, each signed in one of the ways an attacker would try.
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { SignJWT, UnsecuredJWT } from 'jose'
import type { Forgery } from './faults.js'
import type { SigningKey } from './keys.js'

const strangersKey = () => generateKeyPairSync('rsa', { modulusLength: 2048 })

export async function forge(how: Forgery, claims: Record<string, unknown>, key: SigningKey): Promise<string> {
  const jwt = new SignJWT(claims)
  const header = { typ: 'JWT', alg: 'RS256', kid: key.kid }
  switch (how) {
    case 'none':
      return new UnsecuredJWT(claims).encode()
    case 'hs256-public-key': // RFC 8725 2.1: the public key taken for a shared secret
      return jwt.setProtectedHeader({ ...header, alg: 'HS256' }).sign(
        Buffer.from(key.publicKey.export({ type: 'spki', format: 'pem' })),
      )
    case 'unregistered-key': // claims a published kid
      return jwt.setProtectedHeader(header).sign(strangersKey().privateKey)
    case 'unknown-kid': // even signed by the right key
      return jwt.setProtectedHeader({ ...header, kid: randomUUID() }).sign(key.privateKey)
    case 'embedded-jwk': { // brings its own key along
      const own = strangersKey()
      const { kty, n, e } = own.publicKey.export({ format: 'jwk' })
      return jwt.setProtectedHeader({ ...header, jwk: { kty: kty ?? 'RSA', n: n ?? '', e: e ?? '' } }).sign(
        own.privateKey,
      )
    }
    case 'truncated':
      return (await jwt.setProtectedHeader(header).sign(key.privateKey)).slice(0, -40)
  }
}
