// The small parts that pages of the console are made of: names, badges, times, reasons, facts, notes.
// Names of people and groups are isolated (`bdi`): a right-to-left mark in one of them cannot turn the text beside it.
import type { DecisionWord } from '../../../core/access.js'
import type { EntraGroupName } from '../../../core/rights.js'
import { html, type Html, type Value } from '../../pages/html.js'
import { linkTo } from './links.js'
import { shortened } from './shortened.js'

/** Text that people chose: names, labels, reasons. */
export function nameText(text: string): Html {
  return html`<bdi>${text}</bdi>`
}

/** Small, in a fixed width, to be copied. */
export function idText(id: string): Html {
  return html`<code class="id">${id}</code>`
}

/** The name, as a link where an address is given, and the id small below it. */
export function named({ name, id, href }: { name: string, id?: string | null | undefined, href?: string }): Html {
  const text = nameText(name)
  const shown = href === undefined ? html`<span class="name">${text}</span>` : html`<a href="${href}">${text}</a>`
  return html`<span class="named">${shown}${id === undefined || id === null ? '' : idText(id)}</span>`
}

/** The name of a user as a link, with the username below it where they have another name. */
export function userLink({ id, username, name }: {
  readonly id: string
  readonly username: string
  readonly name: string | null
}): Html {
  const below = name === null ? '' : html`<span class="soft"> ${nameText(shortened(username))}</span>`
  return html`<a href="${linkTo('people', id)}">${nameText(shortened(name ?? username))}</a>${below}`
}

const BADGES = {
  staff: { tone: 'info', text: 'staff' },
  superuser: { tone: 'strong', text: 'superuser' },
  inactive: { tone: 'bad', text: 'inactive' },
  guest: { tone: 'plain', text: 'guest' },
  byHand: { tone: 'warn', text: 'by hand' },
} as const

export type Tone = 'plain' | 'info' | 'strong' | 'good' | 'warn' | 'bad'

export function badge(kind: keyof typeof BADGES): Html {
  const { tone, text } = BADGES[kind]
  return tag(text, tone)
}

export function tag(text: string, tone: Tone = 'plain'): Html {
  return html`<span class="tag ${tone}">${text}</span>`
}

const DECISIONS: Readonly<Record<DecisionWord, { readonly text: string, readonly tone: Tone }>> = {
  allowed: { text: 'allowed', tone: 'good' },
  refused: { text: 'refused', tone: 'bad' },
  sign_in: { text: 'must sign in', tone: 'warn' },
  depends: { text: 'depends on the address', tone: 'info' },
}

export function decisionTag(decision: DecisionWord): Html {
  return tag(DECISIONS[decision].text, DECISIONS[decision].tone)
}

/** @param empty shown where there is no time, for example "never" */
export function timeText(time: string | number | Date | null | undefined, empty = '–'): Html {
  if (time === null || time === undefined) return html`<span class="soft">${empty}</span>`
  const at = new Date(time)
  if (Number.isNaN(at.getTime())) return html`<span class="soft">${empty}</span>`
  const iso = at.toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 16).replace('T', ' ')} UTC</time>`
}

export interface Reason {
  /** Entra groups or app roles, each with the number of the mapping row that grants the right. Empty: by hand. */
  readonly entraGroups: readonly (EntraGroupName & { readonly row?: number | undefined })[]
  readonly since: string | null
}

/** "because of Network team (row 3), since 2026-11-21 08:00 UTC" */
export function reasonLine({ entraGroups, since }: Reason): Html {
  const time = since === null ? '' : html`, since ${timeText(since)}`
  if (entraGroups.length === 0) return html`<span class="reason">assigned by hand${time}</span>`
  const names = entraGroups.map(({ id, label, row }, index) =>
    html`${index > 0 ? ', ' : ''}${label === undefined ? '' : html`${nameText(label)} `}${idText(id)}${
      row === undefined ? '' : ` (row ${row})`
    }`
  )
  return html`<span class="reason">because of ${names}${time}</span>`
}

/** Facts about one object. Rows without a value are left out. */
export function facts(rows: readonly (readonly [label: string, value: Value])[]): Html {
  const given = rows.filter(([, value]) => value !== undefined && value !== null)
  const items = given.map(([label, value]) => html`<div><dt>${label}</dt><dd>${value}</dd></div>`)
  return html`<dl class="facts">${items}</dl>`
}

/** @param id of the heading, for links to this section of the page */
export function section(
  { id, title, lead, content }: { id: string, title: string, lead?: Value, content: Html },
): Html {
  return html`<section>
<h2 id="${id}">${title}</h2>
${lead === undefined ? '' : html`<p class="lead">${lead}</p>`}
${content}
</section>`
}

/** Links to the sections of a long page. */
export function contents(sections: readonly { readonly id: string, readonly title: string }[]): Html {
  return html`<nav class="contents" aria-label="On this page"><ul>${
    sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)
  }</ul></nav>`
}

/** Other views of the same list, of which one is shown. */
export function tabs(
  { label, items }: {
    label: string
    items: readonly { readonly title: string, readonly href: string, readonly current: boolean }[]
  },
): Html {
  return html`<nav class="tabs" aria-label="${label}"><ul>${
    items.map(({ title, href, current }) =>
      html`<li><a href="${href}"${current ? html` aria-current="page"` : ''}>${title}</a></li>`
    )
  }</ul></nav>`
}

/** What a list without rows says, and what to do next. */
export function emptyState(
  { title, next }: { title: string, next: Value },
): Html {
  return html`<div class="empty"><p><strong>${title}</strong></p><p>${next}</p></div>`
}

export function note(content: Value, tone: 'info' | 'warn' | 'bad' = 'info'): Html {
  const word = tone === 'info' ? 'Note' : 'Warning'
  return html`<div class="note ${tone}" role="note"><strong>${word}.</strong> ${content}</div>`
}

/** Numbers with a name each, side by side. */
export function figures(
  items: readonly { readonly label: string, readonly value: Value, readonly href?: string, readonly lead?: Value }[],
): Html {
  return html`<ul class="figures">${
    items.map(({ label, value, href, lead }) =>
      html`<li><span class="label">${href === undefined ? label : html`<a href="${href}">${label}</a>`}</span>
<strong>${value}</strong>${lead === undefined ? '' : html`<span class="soft">${lead}</span>`}</li>`
    )
  }</ul>`
}

/** Where a row or a rule stands in the configuration file. */
export function lineText(position: { readonly line: number } | undefined): Html | string {
  return position === undefined ? '' : html` <span class="soft">line ${position.line}</span>`
}
