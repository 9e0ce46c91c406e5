// A browser that is signed in to the admin console.
import { newAdminSessionId } from '../../src/core/admin-session.js'
import { createAdminCookie, type AdminCookie } from '../../src/http/admin/admin-cookie.js'
import { createCookieSigner } from '../../src/http/cookie-signer.js'
import { cookiePolicy } from '../../src/http/cookies.js'
import { createAdminSessionStore } from '../../src/store/admin-sessions.js'
import { sql } from 'drizzle-orm'
import { createBrowser, type Answer, type Browser } from './browser.js'
import { pickPerson, SESSION_SECRET, type TestGateway } from './gateway.js'

export function adminCookieOf(url: string, secrets: readonly string[] = [SESSION_SECRET]): AdminCookie {
  return createAdminCookie({
    publicUrl: url,
    cookies: cookiePolicy(url, undefined),
    signer: createCookieSigner(secrets),
  })
}

/** As a person does: opens the console, enters the password at Entra ID, and comes back to the page. */
export async function signInToConsole(
  gateway: TestGateway,
  personId: string,
  { browser = createBrowser(), path = '/admin/people' }: { browser?: Browser, path?: string } = {},
): Promise<{ browser: Browser, answer: Answer & { trail: readonly string[] } }> {
  const page = await browser.follow(`${gateway.url}${path}`)
  return { browser, answer: await pickPerson(browser, page, personId) }
}

/** Where a page goes on to by itself; undefined: it does not. */
export function refreshOf({ text }: Pick<Answer, 'text'>): string | undefined {
  const [, to] = /<meta http-equiv="refresh" content="0; url=([^"]*)">/.exec(text) ?? []
  return to?.replace(/&#38;/g, '&')
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
