// What a person does at the sign-in page, for tests and benchmarks that have no browser.
import { fetch, type Dispatcher } from 'undici'

export interface SignedIn {
  status: number
  /**
   * The application's redirect URI with the answer; undefined where the page stays, as it does for a disabled account.
   */
  location?: string
  /** The simulator's own session, to be sent on a later authorization request as `cookie`. */
  cookie?: string
  page: string
}

/** `authorizeUrl` is where the application sends the browser; `who` a user id, or the button pressed instead of one. */
export async function signInAs(
  authorizeUrl: string,
  who: string | { action: 'cancel' | 'decline' },
  options: { cookie?: string, dispatcher?: Dispatcher } = {},
): Promise<SignedIn> {
  const url = new URL(authorizeUrl)
  const form = new URLSearchParams(url.searchParams)
  if (typeof who === 'string') form.set('person', who)
  else form.set('action', who.action)
  const response = await fetch(`${url.origin}/${url.pathname.split('/')[1]}/login`, {
    method: 'POST',
    body: form,
    redirect: 'manual',
    ...(options.cookie !== undefined && { headers: { cookie: options.cookie } }),
    ...(options.dispatcher && { dispatcher: options.dispatcher }),
  })
  const location = response.headers.get('location')
  const cookie = response.headers.getSetCookie()[0]?.split(';')[0]
  return {
    status: response.status,
    page: await response.text(),
    ...(location !== null && { location }),
    ...(cookie !== undefined && { cookie }),
  }
}
