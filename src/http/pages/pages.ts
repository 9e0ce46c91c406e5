// What people read on the way in and on the way out, and what went wrong.
import { html, type Html } from './html.js'
import type { Page } from './layout.js'

/** @param destination what they go on to; undefined: our own front page */
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

/** @param ended there was a session; a sign-out of nothing ends nothing */
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

/** @param stay with a way not to sign out */
export function signOutForm(publicUrl: string, returnTo?: string, stay = false): Html {
  const way = stay ? html`<a class="button" href="${publicUrl}/">Stay signed in</a>` : '' // guard: adv-page-stay
  return html`<div class="actions">${way}<form method="post" action="${publicUrl}/oauth2/sign_out">${
    returnTo === undefined ? '' : html`<input type="hidden" name="rd" value="${returnTo}">`
  }<button class="button plain">Sign out</button></form></div>`
}

export interface ErrorFacts {
  readonly code: string
  readonly sentence: string
  readonly correlationId: string
  readonly contact: string | undefined
  /** Microsoft's names for what went wrong there, for its support. */
  readonly microsoftIds?: readonly string[]
  /** Where to try again; undefined where that makes no sense. */
  readonly retryUrl: string | undefined
  /** There is no session: the button leads to one. */
  readonly signIn: boolean
  /** Who is signed in, where somebody is. */
  readonly username?: string | undefined
  /** The rule that said no: its place, what it is about, and whom it lets in. */
  readonly decided?: { readonly rule: string, readonly about: string, readonly allows: string } | undefined
  /** Where else they may go: the application's front page, where it is open to them, and ours. */
  readonly ways?: readonly { readonly text: string, readonly url: string }[]
  /** It is shown in a frame of an application: the button leads out of it. */
  readonly framed?: boolean
  /** What else there is to say, line by line. */
  readonly rows?: readonly (readonly [string, string])[] | undefined
}

export function errorPage(title: string, facts: ErrorFacts): Page {
  const { code, sentence, correlationId, microsoftIds = [], username, decided, rows = [] } = facts
  // guard: adv-page-404
  const contact = code === 'not_found' ? undefined : facts.contact // nothing is broken
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

/** The first way is the one to take: back to what is open, where somebody was refused. */
function actions(facts: ErrorFacts, target: Html | string): Html {
  const { retryUrl, ways = [] } = facts
  const all = [...ways, ...(retryUrl === undefined ? [] : [{ text: buttonOf(facts), url: retryUrl }])]
  if (all.length === 0) return html``
  const links = all.map(({ text, url }, index) =>
    html`<a class="button${index > 0 ? ' plain' : ''}" href="${url}"${target}>${text}</a>`
  )
  return html`<div class="actions">${links}</div>`
}

/** An e-mail address can be written to; anything else is shown as it is. */
export function contactLink(contact: string): Html {
  return /^\S+@\S+$/.test(contact) ? html`<a href="mailto:${contact}">${contact}</a>` : html`${contact}`
}

function buttonOf({ code, username, signIn }: ErrorFacts): string {
  if (code === 'not_found') return 'Go to the front page' // guard: adv-page-front
  if (username !== undefined) return 'Use another account'
  return signIn ? 'Sign in' : 'Try again'
}

function microsoftId(id: string, index: number): Html {
  return html`${index > 0 ? html`<br>` : ''}<code data-field="microsoft">${id}</code>`
}
