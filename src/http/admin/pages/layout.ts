// The layout of the console's pages and their response headers.
import type { FastifyReply } from 'fastify'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import type { ConsoleLook } from './look.js'
import { sectionOf, type NavigationItem } from './navigation.js'
import type { PageContent } from './page.js'

const SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/**
 * Nothing of a page stays in the browser's storage (historyCacheSize), and pages with an error status are shown.
 * https://htmx.org/reference/#config
 */
const HTMX_CONFIG = JSON.stringify({
  allowEval: false,
  allowScriptTags: false,
  includeIndicatorStyles: false,
  selfRequestsOnly: true,
  historyCacheSize: 0,
  refreshOnHistoryMiss: true,
  responseHandling: [{ code: '204', swap: false }, { code: '...', swap: true }],
})

export interface ConsolePage extends PageContent {
  readonly actor: AdminActor
  /** Path of the page, which the navigation marks. */
  readonly path: string
  readonly sections: readonly NavigationItem[]
  /** What the act before this page has done. */
  readonly notice?: string | undefined
}

export function sendConsolePage(
  reply: FastifyReply,
  status: number,
  page: ConsolePage,
  look: ConsoleLook,
): FastifyReply {
  return reply.code(status).headers({
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': SECURITY_POLICY, // guard: admin-page-policy
    'cache-control': 'no-store',
    'vary': 'Cookie',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'same-origin',
  }).send(document(page, look).html)
}

function document(page: ConsolePage, { name, logo, stylesheet, script }: ConsoleLook): Html {
  const { title, actor, lead, sections: [home] } = page
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="csrf-token" content="${actor.csrfToken}">
<meta name="htmx-config" content="${HTMX_CONFIG}">
<title>${title} · ${name} console</title>
<link rel="stylesheet" href="${stylesheet}">
<link rel="icon" href="data:,">
<script src="${script}" defer></script>
</head>
<body hx-boost="true">
<a class="skip" href="#main" hx-boost="false">Skip to content</a>
<header class="top"><a class="brand" id="brand" href="${home?.path}">${
    logo === undefined ? '' : html`<img src="${logo}" alt="" height="24">`
  }<bdi>${name}</bdi> <span>console</span></a>
${account(actor)}</header>
<div class="frame">
${navigation(page)}
<main id="main" tabindex="-1">
${trail(page)}
<h1><bdi>${title}</bdi></h1>
${page.notice === undefined ? '' : html`<div class="note info" role="status">${page.notice}</div>`}
${lead === undefined ? '' : html`<p class="lead">${lead}</p>`}
${page.content}
</main>
</div>
</body>
</html>
`
}

function account({ name, username, permissions, csrfToken }: AdminActor): Html {
  const words = [...permissions].map((word) => html`<li><code>${word}</code></li>`)
  return html`<div class="account"><details><summary><bdi>${name ?? username}</bdi></summary>
<div class="card"><p>Signed in as <strong><bdi>${username}</bdi></strong>, with the permissions</p><ul>${words}</ul>
</div></details>
<form method="post" action="/admin/sign-out" hx-boost="false"><input type="hidden" name="_csrf" value="${csrfToken}">
<button class="button small">Sign out</button></form></div>`
}

/** Twice: beside the content on a wide screen, and as a menu on a narrow one. The other one is not displayed. */
function navigation({ path, actor, sections: all }: ConsolePage): Html {
  const sections = all.filter(({ permission }) => permission === undefined || actor.permissions.has(permission))
  const current = sectionOf(path)
  const list = (prefix: string): Html =>
    html`<ul>${
      sections.map((item) =>
        html`<li><a id="${prefix}-${item.label.toLowerCase()}" href="${item.path}"${
          item === current ? html` aria-current="${item.path === path ? 'page' : 'true'}"` : ''
        }>${item.label}</a></li>`
      )
    }</ul>`
  return html`<nav class="side" aria-label="Console">${list('nav')}</nav>
<details class="menu"><summary id="menu">Menu${current === undefined ? '' : html`<span> · ${current.label}</span>`}
</summary><nav aria-label="Console">${list('menu')}</nav></details>`
}

function trail({ trail = [] }: ConsolePage): Html {
  if (trail.length === 0) return html``
  return html`<nav class="trail" aria-label="Breadcrumb"><ol>${
    trail.map(({ label, href }) => html`<li><a href="${href}"><bdi>${label}</bdi></a></li>`)
  }</ol></nav>`
}
