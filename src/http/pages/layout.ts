// The layout of every page and its response headers.
import type { FastifyReply } from 'fastify'
import { html, type Html } from './html.js'
import type { Theme } from './theme.js'

export interface PageSettings {
  readonly publicUrl: string
  /** Origin of Entra ID's pages: the sign-out form redirects there. */
  readonly authority: string
  readonly redirectDomains: readonly string[]
  readonly contact: string | undefined
  /** Name of the session cookie. */
  readonly sessionCookie: string
  /** A reload of the configuration may change it. */
  readonly theme: () => Theme
}

export interface Page {
  readonly title: string
  readonly body: Html
  /** Applications of server.redirectDomains may show it in a frame; its links open in the top window. */
  readonly framed?: boolean
  /** An address of this origin: the browser goes there by itself. */
  readonly refresh?: string
}

/**
 * Sends a page under a policy that forbids scripts, frames and forms of other sites. Links are absolute, because
 * proxies show these pages on other hosts.
 */
export function sendPage(reply: FastifyReply, status: number, content: Page, settings: PageSettings): FastifyReply {
  const { title, body, framed = false, refresh } = content // guard: adv-framed-others
  const { publicUrl } = settings
  const { name, logo, stylesheet } = settings.theme()
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
${refresh === undefined ? '' : html`<meta http-equiv="refresh" content="0; url=${refresh}">`}
<title>${title} · ${name}</title>
<link rel="stylesheet" href="${publicUrl}${stylesheet}">
<link rel="icon" href="data:,">
</head>
<body><main>
<header>${logo === undefined ? '' : html`<img src="${publicUrl}${logo}" alt="">`}${name}</header>
<h1>${title}</h1>
${body}
</main></body>
</html>
`
  return reply.code(status).headers({
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': contentSecurityPolicy(settings, framed),
    'cache-control': 'no-store',
    'vary': 'Cookie',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'same-origin',
  }).send(page.html)
}

// form-action also applies to redirects after a form is submitted, so it lists the targets of a sign-out.
function contentSecurityPolicy({ publicUrl, authority, redirectDomains }: PageSettings, framed: boolean): string {
  const scheme = new URL(publicUrl).protocol
  const applicationOrigins = redirectDomains.map((rule) => `${scheme}//${rule.startsWith('.') ? `*${rule}` : rule}`)
  return [
    "default-src 'none'",
    `style-src ${publicUrl}`,
    `img-src data: ${publicUrl}`,
    "base-uri 'none'",
    // guard: adv-framed
    `frame-ancestors ${framed ? ["'self'", publicUrl, ...applicationOrigins].join(' ') : "'none'"}`,
    `form-action 'self' ${[publicUrl, authority, ...applicationOrigins].join(' ')}`,
  ].join('; ')
}
