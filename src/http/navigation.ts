// Is a person looking at the answer, or a program? People get pages and redirects, programs get status codes and JSON.
import type { IncomingHttpHeaders } from 'node:http'

/** A top-level page load: only then does a redirect to a sign-in page make sense (not for fetch, XHR, iframes, sockets). */
export function isNavigation(headers: IncomingHttpHeaders): boolean {
  if (!wantsHtml(headers)) return false
  if (headers['x-requested-with'] !== undefined || headers.upgrade !== undefined) return false
  const mode = headers['sec-fetch-mode']
  const destination = headers['sec-fetch-dest']
  return (mode === undefined || mode === 'navigate') && (destination === undefined || destination === 'document')
}

export function wantsHtml(headers: IncomingHttpHeaders): boolean {
  return headers.accept !== undefined && /\btext\/html\b/i.test(headers.accept)
}

/** Metadata that a browser alone can set: this page load was begun here, or by typing, or by an application beside us. */
export function isOwnNavigation(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site']
  return (site === 'same-origin' || site === 'same-site' || site === 'none') &&
    headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
}
