// The application's token for Graph (RFC 6749 section 4.4): renewed before it expires, kept in memory only.
import type { EntraConnection } from './client.js'
import { requestAppToken } from './token.js'

export interface AppToken {
  /** @throws `entra_*` */
  get(correlationId: string, signal: AbortSignal): Promise<string>
  /** Discards a token that Graph refused. */
  drop(accessToken: string): void
}

const EARLY_MS = 5 * 60_000

export function createAppToken({ http, endpoints, clientId, credential }: EntraConnection): AppToken {
  let kept: { readonly accessToken: string, readonly until: number } | undefined
  // one request for all callers, within the time limit of the first
  let asking: Promise<{ readonly accessToken: string, readonly until: number }> | undefined
  const ask = async (correlationId: string, signal: AbortSignal) => {
    const { accessToken, expiresInMs } = await requestAppToken(
      { http, tokenEndpoint: endpoints.token, clientId, credential, scope: `${endpoints.graph}/.default` },
      correlationId,
      signal,
    )
    return { accessToken, until: performance.now() + expiresInMs - EARLY_MS }
  }
  return {
    async get(correlationId, signal) {
      if (kept && performance.now() <= kept.until) return kept.accessToken // guard: sync-token-age
      asking ??= ask(correlationId, signal).finally(() => {
        asking = undefined
      })
      kept = await asking
      return kept.accessToken
    },
    drop(accessToken) {
      if (kept?.accessToken === accessToken) kept = undefined
    },
  }
}
