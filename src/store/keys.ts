// The keys that sign assertions, sealed in the database. Key lifecycle: pre-published, active, retired (still in the
// JWKS), deleted. A key that cannot be unsealed is an error, never a reason to make a new one. Every time is the
// database's.
import { createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import { IDENTITY_COOKIE_LIFETIME, JWKS_MAX_AGE, type PublicJwk } from '../core/assertion.js'
import type { RotatedKey } from '../core/acts.js'
import type { KeyView } from '../core/health.js'
import { writeAudit } from './audit.js'
import type { Database, Transaction } from './database.js'
import { rowsOfRecord } from './rows-of-record.js'
import { open, seal } from './sealing.js'
import { signingKeys } from './schema.js'

/**
 * How long a new key is published before it signs: twice the cache lifetime of the JWKS, and room for clock skew.
 * Seconds.
 */
export const PUBLISHED_AHEAD = 3 * JWKS_MAX_AGE
/** How long a retired key stays published after its last signature. Seconds. */
const PUBLISHED_AFTER = 6 * IDENTITY_COOKIE_LIFETIME

export interface StoredKey {
  readonly kid: string
  readonly publicJwk: PublicJwk
  readonly privateKey: KeyObject
  /** Milliseconds until it becomes active; zero or negative: it is active. */
  readonly activeInMs: number
}

export interface SigningKeyStore {
  /**
   * Makes the first key, unseals every stored one, and seals them under the first secret. Of gateways that start
   * together one makes the key. @throws `signing_key_sealed`
   */
  ensure(): Promise<void>
  /** All published keys, the oldest first. @throws `signing_key_sealed` */
  load(): Promise<readonly StoredKey[]>
  /**
   * Makes the next key where the newest is about to be `everyMs` old, and deletes keys that are no longer published.
   * @returns the kid of a new key
   */
  keepUp(everyMs: number): Promise<string | undefined>
  list(): Promise<readonly KeyView[]>
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
    ensure: () => locked((tx) => ensureKeys(tx, encryptionSecrets)),
    load: () => publishedKeys(database, encryptionSecrets),
    keepUp: (everyMs) =>
      locked(async (tx) => {
        await tx.execute(sql`delete from signing_keys where retired_at < now() - ${seconds(PUBLISHED_AFTER)}`)
        if (!await isNextDue(tx, everyMs)) return undefined
        const { kid, changed } = await addNext(tx, secret)
        if (changed) await writeAudit(tx, { action: 'key.rotate', actor: 'system', detail: { kid, now: false } })
        return kid
      }),
    list: () => listKeys(database),
  }
}

/** In a transaction that writes the audit row. @param now the new key signs immediately, all others are deleted */
export async function rotateKeys(
  tx: Transaction,
  [secret = '']: readonly string[],
  now: boolean,
): Promise<RotatedKey> {
  await tx.execute(LOCK)
  return now ? await replaceAll(tx, secret) : await addNext(tx, secret)
}

/** Within a transaction: unseals every key, seals it under the first secret, and makes one where none can sign. */
export async function ensureKeys(tx: Transaction, encryptionSecrets: readonly string[]): Promise<void> {
  const [secret = ''] = encryptionSecrets
  const stored = await tx.select().from(signingKeys)
  for (const { kid, sealedPrivateKey } of stored) {
    const { text, first } = open(sealedPrivateKey, kid, encryptionSecrets)
    if (first) continue
    await tx.update(signingKeys).set({ sealedPrivateKey: seal(text, kid, secret) }).where(sql`kid = ${kid}`)
  }
  if (stored.some(({ retiredAt }) => retiredAt === null)) return
  await tx.insert(signingKeys).values(await makeKey(secret))
}

interface PublishedRow extends Record<string, unknown> {
  readonly kid: string
  readonly public_jwk: PublicJwk
  readonly sealed_private_key: Buffer
  readonly active_in_ms: number
}

async function publishedKeys(database: Database, encryptionSecrets: readonly string[]): Promise<StoredKey[]> {
  // guard: record-keys-verified
  const rows = await rowsOfRecord<PublishedRow>(
    database,
    sql`select kid, public_jwk, sealed_private_key,
      (extract(epoch from active_at - now()) * 1000)::float8 as active_in_ms
    from signing_keys
    where retired_at is null or retired_at > now() - ${seconds(PUBLISHED_AFTER)}
    order by active_at, kid`,
  )
  return rows.map((row) => ({
    kid: row.kid,
    publicJwk: row.public_jwk,
    privateKey: privateKeyOf(open(row.sealed_private_key, row.kid, encryptionSecrets).text),
    activeInMs: row.active_in_ms,
  }))
}

async function isNextDue(tx: Transaction, everyMs: number): Promise<boolean> {
  const { rows: [row] } = await tx.execute<{ due: boolean }>(sql`
    select coalesce(max(active_at) < now() - ${seconds(everyMs / 1000 - PUBLISHED_AHEAD)}, true) as due
    from signing_keys where retired_at is null`)
  return row?.due === true
}

async function listKeys(database: Database): Promise<readonly KeyView[]> {
  const { rows } = await database.ask((db) =>
    db.execute<KeyView & Record<string, unknown>>(sql`
    select kid, to_json(created_at) #>> '{}' as "createdAt", to_json(active_at) #>> '{}' as "activeAt",
      to_json(retired_at) #>> '{}' as "retiredAt",
      case when active_at > now() then 'next'
        when retired_at is null or retired_at > now() then 'signing'
        else 'retired' end as state
    from signing_keys order by active_at, kid`)
  )
  return rows
}

/** For a key that leaked or cannot be unsealed. */
async function replaceAll(tx: Transaction, secret: string): Promise<RotatedKey> {
  const deleted = await tx.delete(signingKeys).returning({ kid: signingKeys.kid })
  const key = await makeKey(secret)
  await tx.insert(signingKeys).values(key)
  return { kid: key.kid, changed: true, withdrawn: deleted.map(({ kid }) => kid) }
}

/** Pre-publishes the next key, unless one is pre-published already; the older keys retire when it becomes active. */
async function addNext(tx: Transaction, secret: string): Promise<RotatedKey> {
  const { rows: [prepublished] } = await tx.execute<{ kid: string }>(
    sql`select kid from signing_keys where active_at > now() and retired_at is null`,
  )
  if (prepublished) return { kid: prepublished.kid, changed: false, withdrawn: [] }
  const key = await makeKey(secret)
  const activeAt = sql`now() + ${seconds(PUBLISHED_AHEAD)}`
  await tx.update(signingKeys).set({ retiredAt: activeAt }).where(sql`retired_at is null`)
  await tx.insert(signingKeys).values({ ...key, activeAt })
  return { kid: key.kid, changed: true, withdrawn: [] }
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
