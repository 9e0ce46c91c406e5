// Distinguishes page loads of a browser, which get pages and redirects, from requests of programs, which get status
// codes and JSON.
import type { IncomingHttpHeaders } from 'node:http'

/** The headers of requests that htmx and Turbo make. */
const OF_SCRIPTS = ['hx-request', 'turbo-frame', 'x-turbo-request-id'] as const

/** True for a top-level page load. Fetch, XHR, frames and sockets cannot follow a redirect to a sign-in page. */
export function isNavigation(headers: IncomingHttpHeaders): boolean {
  if (!wantsHtml(headers)) return false
  if (isScript(headers) || headers.upgrade !== undefined) return false
  const mode = headers['sec-fetch-mode']
  const destination = headers['sec-fetch-dest']
  return (mode === undefined || mode === 'navigate') && (destination === undefined || destination === 'document')
}

/** Android's WebViews send X-Requested-With with their application's name on every page load, hence the one value. */
function isScript(headers: IncomingHttpHeaders): boolean {
  if (OF_SCRIPTS.some((name) => headers[name] !== undefined)) return true // guard: adv-turbo
  return String(headers['x-requested-with'] ?? '').toLowerCase() === 'xmlhttprequest' // guard: adv-webview
}

/** A request of htmx, which acts on HX-* response headers. */
export function isHtmx(headers: IncomingHttpHeaders): boolean {
  return headers['hx-request'] !== undefined
}

/** The response is shown in a frame of another page. */
export function isFramed(headers: IncomingHttpHeaders): boolean {
  return headers['sec-fetch-dest'] === 'iframe' || headers['sec-fetch-dest'] === 'frame'
}

export function wantsHtml(headers: IncomingHttpHeaders): boolean {
  return headers.accept !== undefined && /\btext\/html\b/i.test(headers.accept)
}

/**
 * True for a page load that began on this site or by entering the address. Only a browser can set these headers, not a
 * script.
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
 * True if the browser prefetches or prerenders the page. Sec-Purpose: Fetch standard section 3.10; Purpose: older
 * Chromium; X-Moz: Firefox; X-Purpose: older Safari.
 */
export function isSpeculative(headers: IncomingHttpHeaders): boolean {
  return ['sec-purpose', 'purpose', 'x-moz', 'x-purpose'].some((name) =>
    /\b(prefetch|prerender|preview)\b/i.test(String(headers[name] ?? ''))
  )
}
