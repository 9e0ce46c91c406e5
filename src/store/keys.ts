// The keys that sign assertions, in the database, sealed. A key that cannot be opened is an error, never a reason to
// make a new one. Its life: published, then it signs, then its successor does and it stays published until nothing it
// signed is met any more; then it is gone. Every time is the database's.
import { createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import { IDENTITY_COOKIE_LIFETIME, JWKS_MAX_AGE, type PublicJwk } from '../core/assertion.js'
import { writeAudit } from './audit.js'
import type { Database, Transaction } from './database.js'
import { open, seal } from './sealing.js'
import { signingKeys } from './schema.js'

/** A new key is published for so long before it signs: caches of the public keys, twice over, and clocks. Seconds. */
export const PUBLISHED_AHEAD = 3 * JWKS_MAX_AGE
/** And an old one for so long after its last signature. Seconds. */
const PUBLISHED_AFTER = 6 * IDENTITY_COOKIE_LIFETIME

export interface StoredKey {
  readonly kid: string
  readonly publicJwk: PublicJwk
  readonly privateKey: KeyObject
  /** Milliseconds from now until it signs; not positive: since then. */
  readonly activeInMs: number
}

export interface KeyView {
  readonly kid: string
  readonly state: 'next' | 'signing' | 'retired'
  readonly createdAt: string
  readonly activeAt: string
  readonly retiredAt: string | null
}

export interface SigningKeyStore {
  /**
   * Makes the first key, checks that every stored one opens, and seals them anew under the first secret. Gateways that
   * start together make one. @throws `signing_key_sealed`
   */
  ensure(): Promise<void>
  /** All that are published, the oldest first. @throws `signing_key_sealed` */
  load(): Promise<readonly StoredKey[]>
  /**
   * Makes the next key where the newest is about to be `everyMs` old, and forgets those that nobody needs. @returns the
   * kid of a new one
   */
  keepUp(everyMs: number): Promise<string | undefined>
  list(): Promise<readonly KeyView[]>
  /**
   * @param now the new key signs at once and all others are withdrawn: for a key that leaked or cannot be opened
   * @returns the kid
   */
  rotate(actor: string, now: boolean): Promise<string>
}

const LOCK = sql`select pg_advisory_xact_lock(hashtextextended('gatehouse signing keys', 0))`
const seconds = (number: number) => sql`${number}::float8 * interval '1 second'`

export function createSigningKeyStore(database: Database, encryptionSecrets: readonly string[]): SigningKeyStore {
  const locked = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> =>
    database.transaction(async (tx) => {
      await tx.execute(LOCK)
      return await work(tx)
    })
  const secret = encryptionSecrets[0] ?? ''
  return {
    ensure: () =>
      locked(async (tx) => {
        const stored = await tx.select().from(signingKeys)
        for (const { kid, sealedPrivateKey } of stored) {
          const { text, first } = open(sealedPrivateKey, kid, encryptionSecrets)
          if (!first) {
            await tx.update(signingKeys).set({ sealedPrivateKey: seal(text, kid, secret) }).where(sql`kid = ${kid}`)
          }
        }
        if (
          !stored.some(({ retiredAt }) => retiredAt === null)
        ) {
          await tx.insert(signingKeys).values(await makeKey(secret))
        }
      }),
    async load() {
      const { rows } = await database.ask((db) =>
        db.execute<{ kid: string, public_jwk: PublicJwk, sealed_private_key: Buffer, active_in_ms: number }>(sql`
        select kid, public_jwk, sealed_private_key, (extract(epoch from active_at - now()) * 1000)::float8 as
          active_in_ms from signing_keys
        where retired_at is null or retired_at > now() - ${seconds(PUBLISHED_AFTER)} order by active_at, kid`)
      )
      return rows.map((row) => ({
        kid: row.kid,
        publicJwk: row.public_jwk,
        privateKey: privateKeyOf(open(row.sealed_private_key, row.kid, encryptionSecrets).text),
        activeInMs: row.active_in_ms,
      }))
    },
    keepUp: (everyMs) =>
      locked(async (tx) => {
        await tx.execute(sql`delete from signing_keys where retired_at < now() - ${seconds(PUBLISHED_AFTER)}`)
        const { rows: [due] } = await tx.execute<{ due: boolean }>(sql`
        select coalesce(max(active_at) < now() - ${
          seconds(everyMs / 1000 - PUBLISHED_AHEAD)
        }, true) as due from signing_keys where retired_at is null`)
        return due?.due ? await addNext(tx, secret, 'system') : undefined
      }),
    async list() {
      const { rows } = await database.ask((db) =>
        db.execute<KeyView & Record<string, unknown>>(sql`
        select kid, to_json(created_at) #>> '{}' as "createdAt", to_json(active_at) #>> '{}' as "activeAt",
          to_json(retired_at) #>> '{}' as "retiredAt",
          case when active_at > now() then 'next' when retired_at is null or retired_at > now() then 'signing' else
            'retired' end as state
        from signing_keys order by active_at, kid`)
      )
      return rows
    },
    rotate: (actor, now) =>
      locked(async (tx) => {
        if (!now) return await addNext(tx, secret, actor)
        const withdrawn = await tx.delete(signingKeys).returning({ kid: signingKeys.kid })
        const key = await makeKey(secret)
        await tx.insert(signingKeys).values(key)
        await writeAudit(tx, {
          action: 'key.rotate',
          actor,
          detail: {
            kid: key.kid,
            now: true,
            withdrawn: withdrawn.map(({ kid }) => kid),
          },
        })
        return key.kid
      }),
  }
}

/**
 * Published now, signing later; those before it retire at that moment. One that is waiting already is left in place.
 */
async function addNext(tx: Transaction, secret: string, actor: string): Promise<string> {
  const { rows: [waiting] } = await tx.execute<{ kid: string }>(
    sql`select kid from signing_keys where active_at > now() and retired_at is null`,
  )
  if (waiting) return waiting.kid
  const key = await makeKey(secret)
  const activeAt = sql`now() + ${seconds(PUBLISHED_AHEAD)}`
  await tx.update(signingKeys).set({ retiredAt: activeAt }).where(sql`retired_at is null`)
  await tx.insert(signingKeys).values({ ...key, activeAt })
  await writeAudit(tx, { action: 'key.rotate', actor, detail: { kid: key.kid, now: false } })
  return key.kid
}

async function makeKey(
  secret: string,
): Promise<{ kid: string, publicJwk: Readonly<Record<string, unknown>>, sealedPrivateKey: Buffer }> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = await exportJWK(publicKey)
  const kid = await calculateJwkThumbprint(jwk)
  return {
    kid,
    publicJwk: { ...jwk, kid, use: 'sig', alg: 'ES256' },
    sealedPrivateKey: seal(JSON.stringify(await exportJWK(privateKey)), kid, secret),
  }
}

function privateKeyOf(jwk: string): KeyObject {
  return createPrivateKey({ key: JSON.parse(jwk) as JsonWebKey, format: 'jwk' })
}
