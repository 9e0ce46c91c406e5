// The simulator's own single sign-on: who is signed in in which browser. One session has one `sid`, which ID tokens
// carry and front-channel logout repeats.
import { randomBytes, randomUUID } from 'node:crypto'

export interface BrowserSession {
  id: string
  sid: string
  userId: string
  startedAt: number
  /** When the person last entered a password: single sign-on leaves it as it is. */
  authenticatedAt: number
}

export interface Sessions {
  start(userId: string, at: number): BrowserSession
  find(id: string | undefined): BrowserSession | undefined
  end(id: string): void
}

/**
 * Below the tenant's addresses alone: cookies of a host ignore its ports, and the demo's applications are beside it.
 * @param tenant as the address names it
 */
export function cookiePlace(tenant: string): string {
  return `Path=/${encodeURIComponent(tenant)}; HttpOnly; SameSite=Lax`
}

export const SESSION_COOKIE = 'simulated_entra_session'

export function createSessions(): Sessions {
  const sessions = new Map<string, BrowserSession>()
  return {
    start(userId, at) {
      const session = {
        id: randomBytes(24).toString('base64url'),
        sid: randomUUID(),
        userId,
        startedAt: at,
        authenticatedAt: at,
      }
      sessions.set(session.id, session)
      return session
    },
    find: (id) => id === undefined ? undefined : sessions.get(id),
    end(id) {
      sessions.delete(id)
    },
  }
}

export function readCookie(header: string | undefined, name: string): string | undefined {
  for (const pair of header?.split(';') ?? []) {
    const [key, value] = pair.split('=', 2)
    if (key?.trim() === name) return value?.trim()
  }
  return undefined
}
