// A browser that is signed in to the admin console.
import { newAdminSessionId } from '../../src/core/admin-session.js'
import { createAdminCookie, type AdminCookie } from '../../src/http/admin/admin-cookie.js'
import { createCookieSigner } from '../../src/http/cookie-signer.js'
import { cookiePolicy } from '../../src/http/cookies.js'
import { createAdminSessionStore } from '../../src/store/admin-sessions.js'
import { sql } from 'drizzle-orm'
import { createBrowser, type Browser } from './browser.js'
import { SESSION_SECRET, type TestGateway } from './gateway.js'

export function adminCookieOf(url: string, secrets: readonly string[] = [SESSION_SECRET]): AdminCookie {
  return createAdminCookie({
    publicUrl: url,
    cookies: cookiePolicy(url, undefined),
    signer: createCookieSigner(secrets),
  })
}

/** Signs a person in, and makes an admin session without asking Entra ID again, whatever their permissions are. */
export async function giveAdminSession(
  gateway: TestGateway,
  personId: string,
  browser: Browser = createBrowser(),
): Promise<{ browser: Browser, sessionId: string }> {
  await gateway.signIn(personId, { browser })
  const { database } = gateway.gateway
  const { rows: [session] } = await database.ask((db) =>
    db.execute<{ id: string }>(sql`update sessions set authenticated_at = now()
      where created_at = (select max(created_at) from sessions) returning public_id as id`)
  )
  const sessionId = session?.id ?? ''
  const id = newAdminSessionId()
  await createAdminSessionStore(database, gateway.config.session).begin({ id, sessionId, replaces: undefined })
  browser.cookies.get(new URL(gateway.url).hostname)?.set('gatehouse_admin', signedAdminId(id))
  return { browser, sessionId }
}

export function signedAdminId(id: string, secret = SESSION_SECRET): string {
  return encodeURIComponent(createCookieSigner([secret]).sign(id))
}
