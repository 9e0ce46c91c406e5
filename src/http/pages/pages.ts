// The pages of sign-in and sign-out, and the error page.
import { html, type Html } from './html.js'
import type { Page } from './layout.js'

/** @param destination name of the application that the user continues to; undefined: Gatehouse's home page */
export function signInPage(startUrl: string, destination: string | undefined): Page {
  const on = destination === undefined
    ? 'go on'
    : html`go on to <strong data-field="destination">${destination}</strong>`
  return {
    title: 'Sign in',
    body: html`<p>Sign in with your work account to ${on}.</p>
<div class="actions"><a class="button" href="${startUrl}">Sign in with Microsoft</a></div>`,
  }
}

/** @param ended false if there was no session */
export function signedOutPage(startUrl: string, ended: boolean): Page {
  const sentence = ended
    ? 'Your session here has ended, and Microsoft was asked to end its own. ' +
      'Applications that keep a session of their own may need to be signed out too.'
    : 'There was no session of yours here to end. Microsoft was asked to end its own.'
  return {
    title: ended ? 'You are signed out' : 'You were not signed in',
    body: html`<p data-field="signed-out">${sentence}</p>
<div class="actions"><a class="button" href="${startUrl}">${ended ? 'Sign in again' : 'Sign in'}</a></div>`,
  }
}

export function confirmSignOutPage(publicUrl: string, returnTo: string | undefined): Page {
  return {
    title: 'Sign out?',
    body: html`<p>Another page asked to sign you out.</p>${signOutForm(publicUrl, returnTo, true)}`,
  }
}

/** @param stay adds a link that keeps the session */
export function signOutForm(publicUrl: string, returnTo?: string, stay = false): Html {
  const way = stay ? html`<a class="button" href="${publicUrl}/">Stay signed in</a>` : '' // guard: adv-page-stay
  return html`<div class="actions">${way}<form method="post" action="${publicUrl}/oauth2/sign_out">${
    returnTo === undefined ? '' : html`<input type="hidden" name="rd" value="${returnTo}">`
  }<button class="button plain">Sign out</button></form></div>`
}

/**
 * Goes on by itself. A redirect from another site brings no SameSite=Strict cookie; what this page leads to does.
 * @param to an address of this origin
 */
export function continuePage(title: string, to: string): Page {
  return {
    title,
    refresh: to,
    body: html`<p data-field="continue">This page goes on by itself.</p>
<div class="actions"><a class="button" href="${to}">Continue</a></div>`,
  }
}

export interface ErrorFacts {
  readonly code: string
  readonly sentence: string
  readonly correlationId: string
  readonly contact: string | undefined
  /** Microsoft's request and trace ids, for its support. */
  readonly microsoftIds?: readonly string[]
  /** Target of the retry button; undefined: no button. */
  readonly retryUrl: string | undefined
  /** There is no session: the button starts a sign-in. */
  readonly signIn: boolean
  /** The signed-in user, if there is one. */
  readonly username?: string | undefined
  /** The rule that refused: its place in the configuration, what it covers and whom it allows. */
  readonly decided?: { readonly rule: string, readonly about: string, readonly allows: string } | undefined
  /** Other pages that the user may open: the application's front page, if allowed, and the home page. */
  readonly links?: readonly { readonly text: string, readonly url: string }[]
  /** The page is shown in a frame of an application; the button opens in the top window. */
  readonly framed?: boolean
  /** Further rows: label and text. */
  readonly rows?: readonly (readonly [string, string])[] | undefined
}

export function errorPage(title: string, facts: ErrorFacts): Page {
  const { code, sentence, correlationId, microsoftIds = [], username, decided, rows = [] } = facts
  // guard: adv-page-404
  const contact = code === 'not_found' ? undefined : facts.contact // not a fault to report
  const target = facts.framed === true ? html` target="_top"` : '' // guard: adv-browser-frame
  return {
    title,
    framed: facts.framed === true,
    body: html`<p data-field="sentence">${sentence}</p>
${username === undefined ? '' : html`<p>You are signed in as <strong>${username}</strong>.</p>`}
${
      contact === undefined
        ? ''
        : html`<p>If you need help, ask ${contactLink(contact)} and give them the reference below.</p>`
    }
<dl>${rows.map(([label, text]) => html`<dt>${label}</dt><dd>${text}</dd>`)}
${
      decided === undefined
        ? ''
        : html`<dt>Open to</dt><dd data-field="allows">${decided.allows}</dd>
<dt>Rule</dt><dd><span data-field="about">${decided.about}</span> <code data-field="rule">${decided.rule}</code></dd>`
    }
<dt>Code</dt><dd><code data-field="code">${code}</code></dd>
${code === 'not_found' ? '' : html`<dt>Reference</dt><dd><code data-field="correlation">${correlationId}</code></dd>`}
${
      microsoftIds.length === 0
        ? ''
        : html`<dt>At Microsoft</dt><dd>${microsoftIds.map(microsoftId)}</dd>`
    }</dl>
${actions(facts, target)}`,
  }
}

/** The first link is the primary button: for a refused user it leads to a page that is allowed. */
function actions(facts: ErrorFacts, target: Html | string): Html {
  const { retryUrl, links = [] } = facts
  const all = [...links, ...(retryUrl === undefined ? [] : [{ text: retryLabel(facts), url: retryUrl }])]
  if (all.length === 0) return html``
  const buttons = all.map(({ text, url }, index) =>
    html`<a class="button${index > 0 ? ' plain' : ''}" href="${url}"${target}>${text}</a>`
  )
  return html`<div class="actions">${buttons}</div>`
}

/** An e-mail address becomes a link; anything else is shown as text. */
export function contactLink(contact: string): Html {
  return /^\S+@\S+$/.test(contact) ? html`<a href="mailto:${contact}">${contact}</a>` : html`${contact}`
}

function retryLabel({ code, username, signIn }: ErrorFacts): string {
  if (code === 'not_found') return 'Go to the front page' // guard: adv-page-front
  if (username !== undefined) return 'Use another account'
  return signIn ? 'Sign in' : 'Try again'
}

function microsoftId(id: string, index: number): Html {
  return html`${index > 0 ? html`<br>` : ''}<code data-field="microsoft">${id}</code>`
}
