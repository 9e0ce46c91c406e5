// Is a person looking at the answer, or a program? People get pages and redirects, programs get status codes and JSON.
import type { IncomingHttpHeaders } from 'node:http'

/** By these headers htmx and Turbo say that the answer is for their script. */
const OF_SCRIPTS = ['hx-request', 'turbo-frame', 'x-turbo-request-id'] as const

/**
 * A top-level page load: only then does a redirect to a sign-in page make sense (not for fetch, XHR, iframes, sockets).
 */
export function isNavigation(headers: IncomingHttpHeaders): boolean {
  if (!wantsHtml(headers)) return false
  if (isScript(headers) || headers.upgrade !== undefined) return false
  const mode = headers['sec-fetch-mode']
  const destination = headers['sec-fetch-dest']
  return (mode === undefined || mode === 'navigate') && (destination === undefined || destination === 'document')
}

/**
 * Android's WebViews send X-Requested-With with every page load, with their application's name: one value is scripts'.
 */
function isScript(headers: IncomingHttpHeaders): boolean {
  if (OF_SCRIPTS.some((name) => headers[name] !== undefined)) return true // guard: adv-turbo
  return String(headers['x-requested-with'] ?? '').toLowerCase() === 'xmlhttprequest' // guard: adv-webview
}

/** A request of htmx, which does what the answer's HX-* headers say. */
export function isHtmx(headers: IncomingHttpHeaders): boolean {
  return headers['hx-request'] !== undefined
}

/** The answer will be shown in a frame of another page. */
export function isFramed(headers: IncomingHttpHeaders): boolean {
  return headers['sec-fetch-dest'] === 'iframe' || headers['sec-fetch-dest'] === 'frame'
}

export function wantsHtml(headers: IncomingHttpHeaders): boolean {
  return headers.accept !== undefined && /\btext\/html\b/i.test(headers.accept)
}

/**
 * Metadata that a browser alone can set: this page load was begun here, or by typing, or by an application beside us.
 */
export function isOwnNavigation(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site']
  return (
    (site === 'same-origin' || site === 'same-site' || site === 'none') &&
    headers['sec-fetch-mode'] === 'navigate' &&
    headers['sec-fetch-dest'] === 'document'
  )
}

/**
 * A browser that loads or renders a page in case the person will want it. Sec-Purpose: Fetch standard section 3.10;
 * Purpose: older Chromium; X-Moz: Firefox; X-Purpose: older Safari.
 */
export function isSpeculative(headers: IncomingHttpHeaders): boolean {
  return ['sec-purpose', 'purpose', 'x-moz', 'x-purpose'].some((name) =>
    /\b(prefetch|prerender|preview)\b/i.test(String(headers[name] ?? ''))
  )
}
