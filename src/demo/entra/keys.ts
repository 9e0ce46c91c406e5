// The keys that sign ID tokens, as published by discovery/v2.0/keys: kid = x5t, the certificate in x5c, `issuer` on
// each key, one key published ahead of use, and on `common` a key of the personal-account issuer, which never signs
// here.
import { createHash, generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { createCertificate, DAY, type KeyPair } from './certificates.js'

export interface SigningKey extends KeyPair {
  kid: string
  x5c: string
}

export interface SigningKeys {
  current(): SigningKey
  /** The JWK set for one issuer, templated or not; `common` adds the personal-account key. */
  published(issuer: string, common?: { personalIssuer: string }): Promise<{ keys: Record<string, unknown>[] }>
  roll(removeOld: boolean): Promise<void>
}

const generate = promisify(generateKeyPair)

export async function createSigningKey(now: number): Promise<SigningKey> {
  const keys = await generate('rsa', { modulusLength: 2048 })
  const { der } = createCertificate({
    name: 'accounts.accesscontrol.windows.net',
    keys,
    from: now - DAY,
    until: now + 5 * 365 * DAY,
  })
  return { ...keys, kid: createHash('sha1').update(der).digest('base64url'), x5c: der.toString('base64') }
}

function toJwk(key: SigningKey, issuer: string) {
  const { n, e } = key.publicKey.export({ format: 'jwk' })
  return {
    kty: 'RSA',
    use: 'sig',
    kid: key.kid,
    x5t: key.kid,
    n,
    e,
    x5c: [key.x5c],
    cloud_instance_name: 'microsoftonline.com',
    issuer,
  }
}

export async function createSigningKeys(now: () => number): Promise<SigningKeys> {
  let [signing, next] = await Promise.all([createSigningKey(now()), createSigningKey(now())])
  let personal: Promise<SigningKey> | undefined
  let retired: SigningKey[] = []
  return {
    current: () => signing,
    async published(issuer, common) {
      const keys = [next, signing, ...retired].map((key) => toJwk(key, issuer))
      if (common) keys.push(toJwk(await (personal ??= createSigningKey(now())), common.personalIssuer))
      return { keys }
    },
    async roll(removeOld) {
      // A new key, not the one published ahead: a test of rollover needs a kid that no client has cached.
      const [fresh, ahead] = await Promise.all([createSigningKey(now()), createSigningKey(now())])
      retired = removeOld ? [] : [signing, next, ...retired]
      signing = fresh
      next = ahead
    },
  }
}
