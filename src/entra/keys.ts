// The tenant's signing keys: cached, one fetch in flight, fetched immediately for an unknown kid (an emergency rollover
// must not stop logins) but then at most every 30 seconds, and kept through an outage.
import { importJWK, type CryptoKey, type JWK } from 'jose'
import { GatehouseError } from '../core/errors.js'
import { isRecord } from '../core/is-record.js'
import { jsonOf, type HttpClient } from './http-client.js'

const REFRESH_AFTER_MS = 24 * 3_600_000
const MIN_INTERVAL_MS = 30_000
const FETCH_TIMEOUT_MS = 3_000
const MIN_MODULUS_BITS = 2048 // RFC 7518 section 3.3

export interface SigningKey {
  readonly key: CryptoKey
  /** The issuer a key is bound to, `{tenantid}` templated; absent in older documents. */
  readonly issuer: string | undefined
}

export interface TenantKeys {
  /**
   * @returns undefined where the tenant has no such key @throws `entra_keys_unavailable` where no keys could be read at
   * all
   */
  find(kid: string, signal: AbortSignal): Promise<SigningKey | undefined>
}

export interface TenantKeysOptions {
  readonly http: HttpClient
  readonly url: string
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

export function createTenantKeys({ http, url, now = () => performance.now() }: TenantKeysOptions): TenantKeys {
  let keys: ReadonlyMap<string, SigningKey> | undefined
  let fetchedAt = -Infinity
  let triedAt = -Infinity
  let refetchedAt = -Infinity
  let inFlight: Promise<void> | undefined

  const refresh = async (signal: AbortSignal): Promise<void> => {
    keys = await fetchKeys(http, url, signal)
    fetchedAt = now()
  }
  // Each caller waits with its own signal: one whose deadline is near does not end the fetch for the others.
  const refreshOnce = (signal: AbortSignal): Promise<void> => {
    inFlight ??= refresh(AbortSignal.timeout(FETCH_TIMEOUT_MS)).finally(() => {
      inFlight = undefined
    })
    return raced(inFlight, signal)
  }
  const required = async (signal: AbortSignal): Promise<void> => {
    const joined = inFlight !== undefined
    try {
      await refreshOnce(signal).catch((error: unknown) => {
        if (!joined || signal.aborted) throw error
        return refreshOnce(signal) // it was another login's fetch that failed; ours may fare better
      })
    } catch (cause) {
      throw keysUnavailable(url, cause)
    }
  }
  const refreshInBackground = (): void => {
    if (now() - fetchedAt < REFRESH_AFTER_MS || now() - triedAt < MIN_INTERVAL_MS) return
    triedAt = now()
    refreshOnce(AbortSignal.timeout(FETCH_TIMEOUT_MS)).catch(() => {}) // the last good keys outlive an outage
  }
  const lookUp = (kid: string): SigningKey | undefined => keys?.get(kid)
  return {
    async find(kid, signal) {
      if (!keys) {
        await required(signal)
        return lookUp(kid)
      }
      refreshInBackground()
      const known = lookUp(kid)
      if (known || (!inFlight && now() - refetchedAt < MIN_INTERVAL_MS)) return known // guard: token-refetch-limit
      await required(signal) // or wait for the fetch that another login began
      refetchedAt = now()
      return lookUp(kid)
    },
  }
}

/** @throws Error where the tenant's key document cannot be read or has no usable key */
async function fetchKeys(http: HttpClient, url: string, signal: AbortSignal): Promise<Map<string, SigningKey>> {
  const answer = await http.send({ url, method: 'GET', headers: { accept: 'application/json' }, signal })
  const body = jsonOf(answer.text)
  if (answer.status !== 200 || !isRecord(body) || !Array.isArray(body.keys)) {
    throw new Error(`${url} answered ${answer.status} without keys`)
  }
  const keys = await importKeys(body.keys)
  if (keys.size === 0) throw new Error(`${url} lists no RSA signing key`)
  return keys
}

function keysUnavailable(url: string, cause: unknown): GatehouseError {
  return new GatehouseError('entra_keys_unavailable', {
    cause,
    detail: `the signing keys could not be read from ${url}`,
    remedy: 'Check the network, HTTPS_PROXY and entra.caFile.',
  })
}

async function importKeys(list: readonly unknown[]): Promise<Map<string, SigningKey>> {
  const keys = new Map<string, SigningKey>()
  for (const jwk of list) {
    if (
      // guard: token-key-use
      !isRecord(jwk) || jwk.kty !== 'RSA' || typeof jwk.kid !== 'string' || (jwk.use !== undefined && jwk.use !== 'sig')
    ) continue
    // one unreadable key does not spoil the others
    const key = await importJWK(jwk as JWK, 'RS256').catch(() => undefined)
    if (key && !(key instanceof Uint8Array) && modulusBits(key) >= MIN_MODULUS_BITS) { // guard: token-key-size
      keys.set(jwk.kid, { key, issuer: typeof jwk.issuer === 'string' ? jwk.issuer : undefined })
    }
  }
  return keys
}

function modulusBits(key: CryptoKey): number {
  return 'modulusLength' in key.algorithm && typeof key.algorithm.modulusLength === 'number'
    ? key.algorithm.modulusLength
    : 0
}

function raced(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    const stop = () => fail(new Error('the login budget is spent'))
    work.then(done, fail).finally(() => signal.removeEventListener('abort', stop))
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
  })
}
