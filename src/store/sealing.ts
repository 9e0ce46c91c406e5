// Encrypts private keys at rest: AES-256-GCM under a key derived from one of keys.encryptionSecrets. A dump of the
// database contains no usable key.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { GatehouseError } from '../core/errors.js'

/** The key id is authenticated with it, so that sealed keys cannot be exchanged for one another. */
export function seal(text: string, kid: string, secret: string): Buffer {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', sealingKey(secret), iv).setAAD(Buffer.from(kid))
  // guard: security-keys-sealed
  return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
}

/**
 * @returns the text, and whether it is sealed under the first secret
 * @throws `signing_key_sealed` where none of the secrets opens it
 */
export function open(
  sealed: Buffer,
  kid: string,
  secrets: readonly string[],
): { readonly text: string, readonly first: boolean } {
  for (const [index, secret] of secrets.entries()) { // guard: adv-rotation-keys
    try {
      const decipher = createDecipheriv('aes-256-gcm', sealingKey(secret), sealed.subarray(0, 12), {
        authTagLength: 16,
      }).setAAD(Buffer.from(kid))
      decipher.setAuthTag(sealed.subarray(-16))
      return {
        text: Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString('utf8'),
        first: index === 0,
      }
    } catch {
      // sealed with another secret
    }
  }
  throw new GatehouseError('signing_key_sealed', {
    detail: `the signing key ${kid} cannot be opened with any of keys.encryptionSecrets`,
    remedy:
      // guard: adv-rotation-remedy
      'A secret is missing in the list of this replica: give it the list that the other replicas have, or add the ' +
      'secret ' +
      'that sealed the key behind the first one. Only where that secret is lost for good: gatehouse keys rotate --now.',
  })
}

function sealingKey(secret: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, 'gatehouse', 'signing keys', 32))
}
