// What people read: who they are, the way in, the way out, and what went wrong.
import type { SessionRecord } from '../../core/session.js'
import { html, type Html } from './html.js'
import type { Page } from './layout.js'

/** Why somebody has a right. Without a cause it was assigned by hand. */
export interface Reason { readonly entraGroups: readonly string[], readonly since: string | null }
export interface RightsOfPerson {
  readonly groups: readonly { readonly name: string, readonly reason: Reason }[]
  readonly staff: Reason | undefined
  readonly superuser: Reason | undefined
}

export function homePage(session: SessionRecord, rights: RightsOfPerson, publicUrl: string): Page {
  return {
    title: session.name ?? session.username,
    body: html`
<dl>
<dt>Username</dt><dd data-field="username">${session.username}</dd>
<dt>E-mail</dt><dd data-field="email">${session.email ?? '–'}</dd>
<dt>Staff</dt><dd data-field="staff">${flag(session.isStaff, rights.staff)}</dd>
<dt>Superuser</dt><dd data-field="superuser">${flag(session.isSuperuser, rights.superuser)}</dd>
<dt>Session until</dt><dd>${new Date(session.expiresAt * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC</dd>
</dl>
<h2>Your groups (${rights.groups.length})</h2>
${rights.groups.length === 0
  ? html`<p class="soft">None of your Microsoft Entra groups is mapped to a group here.</p>`
  : html`<ul data-field="groups">${rights.groups.map(({ name, reason }) => html`<li><strong>${name}</strong>${because(reason)}</li>`)}</ul>`}
${signOutForm(publicUrl)}`,
  }
}

function flag(value: boolean, reason: Reason | undefined): Html {
  return value ? html`<span class="tag yes">yes</span> ${reason && because(reason)}` : html`no`
}

function because({ entraGroups, since }: Reason): Html {
  const day = since === null ? '' : `, since ${since.slice(0, 10)}`
  if (entraGroups.length === 0) return html`<span class="soft">assigned by hand${day}: gone at your next sign-in</span>`
  return html`<span class="soft">because of ${entraGroups.map((id, index) => html`${index > 0 ? ', ' : ''}<code>${id}</code>`)}${day}</span>`
}

export function signInPage(startUrl: string): Page {
  return { title: 'Sign in', body: html`<p>Sign in with your work account to go on.</p><div class="actions"><a class="button" href="${startUrl}">Sign in with Microsoft</a></div>` }
}

export function signedOutPage(startUrl: string): Page {
  return {
    title: 'You are signed out',
    body: html`<p>Your session here and at Microsoft has ended. Applications that keep a session of their own may need to be signed out too.</p>
<div class="actions"><a class="button" href="${startUrl}">Sign in again</a></div>`,
  }
}

export function confirmSignOutPage(publicUrl: string, returnTo: string | undefined): Page {
  return { title: 'Sign out?', body: html`<p>Another page asked to sign you out.</p>${signOutForm(publicUrl, returnTo, true)}` }
}

/** @param stay with a way not to sign out */
function signOutForm(publicUrl: string, returnTo?: string, stay = false): Html {
  const way = stay ? html`<a class="button" href="${publicUrl}/">Stay signed in</a>` : ''
  return html`<div class="actions">${way}<form method="post" action="${publicUrl}/oauth2/sign_out">${
    returnTo === undefined ? '' : html`<input type="hidden" name="rd" value="${returnTo}">`}<button class="button plain">Sign out</button></form></div>`
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
  /** The rule that said no, and whom it lets in. */
  readonly decided?: { readonly rule: string, readonly allows: string } | undefined
  /** It is shown in a frame of an application: the button leads out of it. */
  readonly framed?: boolean
  /** What else there is to say, line by line. */
  readonly rows?: readonly (readonly [string, string])[] | undefined
}

export function errorPage(title: string, facts: ErrorFacts): Page {
  const { code, sentence, correlationId, microsoftIds = [], contact, retryUrl, username, decided, rows = [] } = facts
  const target = facts.framed === true ? html` target="_top"` : ''
  return {
    title,
    framed: facts.framed === true,
    body: html`<p data-field="sentence">${sentence}</p>
${username === undefined ? '' : html`<p>You are signed in as <strong>${username}</strong>.</p>`}
${contact === undefined ? '' : html`<p>If you need help, ask ${/^\S+@\S+$/.test(contact) ? html`<a href="mailto:${contact}">${contact}</a>` : contact} and give them the reference below.</p>`}
<dl>${rows.map(([label, text]) => html`<dt>${label}</dt><dd>${text}</dd>`)}
${decided === undefined
  ? ''
  : html`<dt>Open to</dt><dd data-field="allows">${decided.allows}</dd>
<dt>Rule</dt><dd><code data-field="rule">${decided.rule}</code></dd>`}
<dt>Code</dt><dd><code data-field="code">${code}</code></dd>
<dt>Reference</dt><dd><code data-field="correlation">${correlationId}</code></dd>
${microsoftIds.length === 0
  ? ''
  : html`<dt>At Microsoft</dt><dd>${microsoftIds.map(microsoftId)}</dd>`}</dl>
${retryUrl === undefined
  ? ''
  : html`<div class="actions"><a class="button" href="${retryUrl}"${target}>${buttonOf(facts)}</a></div>`}`,
  }
}

function buttonOf({ code, username, signIn }: ErrorFacts): string {
  if (code === 'not_found') return 'Go to the front page'
  if (username !== undefined) return 'Use another account'
  return signIn ? 'Sign in' : 'Try again'
}

function microsoftId(id: string, index: number): Html {
  return html`${index > 0 ? html`<br>` : ''}<code data-field="microsoft">${id}</code>`
}
