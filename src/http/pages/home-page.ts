// The home page: the signed-in user, the groups with their reasons, and the applications that the user may open.
import type { GroupNotHeld, GrantReason, UserRights } from '../../core/rights.js'
import type { SessionRecord } from '../../core/session.js'
import { html, type Html } from './html.js'
import type { Page } from './layout.js'
import { contactLink, signOutForm } from './pages.js'

export interface HomeFacts {
  readonly session: SessionRecord
  readonly rights: UserRights
  readonly publicUrl: string
  readonly contact: string | undefined
  /** Applications that the user may open; an icon is a path below publicUrl. */
  readonly open: readonly OpenApplication[]
  /** True if any application is configured. */
  readonly listed: boolean
}

export interface OpenApplication {
  readonly name: string
  readonly host: string
  readonly url: string
  readonly icon: string | undefined
}

export function homePage(facts: HomeFacts): Page {
  const { session, rights, publicUrl, contact } = facts
  return {
    title: session.name ?? session.username,
    body: html`${applicationList(facts)}
<dl>
<dt>Username</dt><dd data-field="username">${session.username}</dd>
<dt>E-mail</dt><dd data-field="email">${session.email ?? '–'}</dd>
<dt>Staff</dt><dd data-field="staff">${flag(session.isStaff, rights.staff)}</dd>
<dt>Superuser</dt><dd data-field="superuser">${flag(session.isSuperuser, rights.superuser)}</dd>
<dt>Session until</dt><dd>${minute(new Date(session.expiresAt * 1000))}</dd>
</dl>
<h2>Your groups (${rights.groups.length})</h2>
${groupList(rights)}
${
      rights.notHeld.some(({ missing }) => missing) && contact !== undefined
        ? html`<p class="soft">Ask ${contactLink(contact)} to add what does not exist.</p>`
        : ''
    }
${signOutForm(publicUrl)}`,
  }
}

function applicationList({ open, listed, publicUrl }: HomeFacts): Html {
  if (!listed) return html``
  if (open.length === 0) {
    return html`<p class="soft" data-field="no-applications">No application here is open to you.</p>`
  }
  return html`<h2>Open to you</h2>
<ul class="apps" data-field="applications">${
    open.map(({ name, host, url, icon }) =>
      html`<li><a href="${url}">${
        icon === undefined ? '' : html`<img src="${publicUrl}${icon}" alt="">`
      }<span>${name}<span class="soft">${host}</span></span></a></li>`
    )
  }</ul>`
}

function minute(time: Date): string {
  return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

function flag(value: boolean, reason: GrantReason | undefined): Html {
  return value ? html`<span class="tag yes">yes</span> ${reason && reasonText(reason)}` : html`no`
}

function groupList({ groups, notHeld, entraGroups }: UserRights): Html {
  if (groups.length === 0 && notHeld.length === 0) {
    return html`<p class="soft" data-field="no-groups">${noGroupsReason(entraGroups)}</p>`
  }
  const held = groups.map(({ name, reason }) => html`<li><strong>${name}</strong>${reasonText(reason)}</li>`)
  return html`<ul data-field="groups">${held}</ul>
${notHeld.length === 0 ? '' : html`<ul data-field="not-held">${notHeld.map(notHeldItem)}</ul>`}`
}

/** @param entraGroups number of groups in the last snapshot from Entra ID */
function noGroupsReason(entraGroups: number | undefined): string {
  if (entraGroups === undefined) return 'Your groups in Microsoft Entra ID have not been read yet.'
  // guard: adv-page-none-read
  if (entraGroups === 0) return 'Microsoft Entra ID reported no group for you at the last check.'
  if (entraGroups === 1) return 'Your one group in Microsoft Entra ID is not mapped to a group here.'
  return `None of your ${entraGroups} groups in Microsoft Entra ID is mapped to a group here.`
}

function notHeldItem({ name, missing, reason }: GroupNotHeld): Html {
  const names = entraGroupNames(reason)
  const verb = reason.entraGroups.length === 1 ? 'is' : 'are'
  if (!missing) { // guard: adv-page-not-held
    const later = html`yours from your next sign-in, because of ${names}`
    return html`<li><strong>${name}</strong><span class="soft">${later}</span></li>`
  }
  return html`<li><span class="soft">${names} ${verb} mapped to ${name}, which does not exist here.</span></li>`
}

function reasonText(reason: GrantReason): Html {
  const day = reason.since === null ? '' : `, since ${reason.since.slice(0, 10)}`
  if (reason.entraGroups.length > 0) {
    return html`<span class="soft">because of ${entraGroupNames(reason)}${day}</span>`
  }
  const { until = null } = reason
  const end = until === null ? '' : `, until ${new Date(until).toISOString().slice(0, 16).replace('T', ' ')} UTC`
  return html`<span class="soft">assigned by hand${day}${end}: gone at your next sign-in</span>`
}

function entraGroupNames({ entraGroups }: GrantReason): Html {
  // guard: adv-page-label
  const names = entraGroups.map(({ id, label }) => (label === undefined ? html`<code>${id}</code>` : html`${label}`))
  return html`${names.map((name, index) => html`${index > 0 ? ', ' : ''}${name}`)}`
}
