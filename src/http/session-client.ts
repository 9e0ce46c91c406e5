// Where a session is used from, for the list of sessions (session.recordClient). Nothing is decided by it.
import bowser from 'bowser'
import type { FastifyRequest } from 'fastify'
import type { SessionClient } from '../core/session.js'

const MAX_USER_AGENT = 500
/** Of other programs the library returns what the client wrote. */
const FAMILIES: ReadonlySet<string> = new Set(Object.values(bowser.BROWSER_MAP))

/** @param host of the application */
export function sessionClient(
  request: Pick<FastifyRequest, 'headers' | 'ip'>,
  host: string | undefined,
): SessionClient {
  return { browser: browserFamily(request.headers['user-agent']), address: request.ip, host: host ?? null }
}

/** @returns `Firefox`, without a version; null for what is no known browser */
export function browserFamily(userAgent: string | undefined): string | null {
  if (userAgent === undefined || userAgent === '') return null
  const name = bowser.getParser(userAgent.slice(0, MAX_USER_AGENT)).getBrowserName()
  return FAMILIES.has(name) ? name : null // guard: live-client-browsers
}
