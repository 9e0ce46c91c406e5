// The keys that sign assertions live in the database, sealed: whoever reads a dump holds nothing. A key that cannot be
// opened is an error, never a reason to make a new one.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import type { Database } from './database.js'
import { signingKeys } from './schema.js'

export interface SigningKeyStore {
  /** Makes the first key; checks that every stored one opens. Gateways that start together make one. */
  ensure(): Promise<void>
}

export function createSigningKeyStore(database: Database, encryptionSecrets: readonly string[]): SigningKeyStore {
  return {
    async ensure() {
      await database.transaction(async (tx) => {
        await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended('gatehouse signing keys', 0))`)
        const stored = await tx.select().from(signingKeys)
        for (const key of stored) open(key.sealedPrivateKey, key.kid, encryptionSecrets)
        if (stored.some((key) => key.retiredAt === null)) return
        await tx.insert(signingKeys).values(await makeKey(encryptionSecrets[0] ?? ''))
      })
    },
  }
}

async function makeKey(secret: string): Promise<{ kid: string, publicJwk: Readonly<Record<string, unknown>>, sealedPrivateKey: Buffer }> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = await exportJWK(publicKey)
  const kid = await calculateJwkThumbprint(jwk)
  return { kid, publicJwk: { ...jwk, kid, use: 'sig', alg: 'ES256' }, sealedPrivateKey: seal(JSON.stringify(await exportJWK(privateKey)), kid, secret) }
}

/** AES-256-GCM; the key id is authenticated with it, so that sealed keys cannot be exchanged for one another. */
export function seal(text: string, kid: string, secret: string): Buffer {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', sealingKey(secret), iv).setAAD(Buffer.from(kid))
  return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
}

/** @throws Error where none of the secrets opens it */
export function open(sealed: Buffer, kid: string, secrets: readonly string[]): string {
  for (const secret of secrets) {
    try {
      const decipher = createDecipheriv('aes-256-gcm', sealingKey(secret), sealed.subarray(0, 12), { authTagLength: 16 }).setAAD(Buffer.from(kid))
      decipher.setAuthTag(sealed.subarray(-16))
      return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString('utf8')
    } catch {
      // sealed with another secret
    }
  }
  throw new Error(`the signing key ${kid} cannot be opened with any of keys.encryptionSecrets; put the secret it was sealed with back into the list`)
}

function sealingKey(secret: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, 'gatehouse', 'signing keys', 32))
}
