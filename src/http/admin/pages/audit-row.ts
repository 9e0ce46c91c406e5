// What a row of the record says, on the pages Audit and Person alike.
import { readableDetail, type Change } from '../../../admin/audit-detail.js'
import type { AuditActor } from '../../../core/audit.js'
import { html, type Html } from '../../pages/html.js'
import { nameText } from './components.js'
import { linkTo } from './links.js'
import { shortened } from './shortened.js'

/** Characters of one value, and of all values of a row: a sign-in may name hundreds of groups. Files have the whole. */
export const MAX_VALUE = 120
const MAX_ROW = 480
/** The others are folded, so that the rows stay one below the other. */
const SHOWN = 3

/** @param last shown after what the row says */
export function rowDetail(detail: Readonly<Record<string, unknown>>, last: Html | string = ''): Html {
  const { changes, facts } = readableDetail(detail)
  const all = [
    ...changes.map((change) => ({ length: change.name.length + MAX_VALUE, item: changed(change) })),
    ...facts.map(({ name, value }) => ({
      length: name.length + Math.min(value.length, MAX_VALUE),
      item: html`<li>${name}: ${nameText(shortened(value, MAX_VALUE))}</li>`,
    })),
  ]
  let left = MAX_ROW
  const shown = all.filter(({ length }) => (left -= length) >= 0)
  const more = all.length - shown.length
  const rest = more > 0 ? [html`<li class="soft">${more} in the file</li>`] : []
  const items = [...shown.map(({ item }) => item), ...rest]
  const folded = items.length <= SHOWN + 1 ? [] : items.slice(SHOWN)
  return html`<ul class="facts-of-row">${items.slice(0, items.length - folded.length)}${
    folded.length === 0
      ? ''
      : html`<li><details><summary>${folded.length} more</summary>
<ul class="facts-of-row">${folded}</ul></details></li>`
  }${last === '' ? '' : html`<li>${last}</li>`}</ul>`
}

function changed({ name, before, after }: Change): Html {
  const side = (value: string | null) =>
    value === null ? html`<span class="soft">none</span>` : nameText(shortened(value, MAX_VALUE))
  return html`<li>${name}: ${side(before)} → ${side(after)}</li>`
}

/**
 * An administrator by name, with a link to their page; any other actor as it is recorded.
 * @param actors of the administrators whose users exist
 */
export function actorText(actor: string, actors: ReadonlyMap<string, AuditActor>): Html {
  const known = actors.get(actor)
  if (known === undefined) return nameText(shortened(actor))
  return html`<a href="${linkTo('people', known.userId)}">${nameText(shortened(known.name ?? known.username))}</a>`
}
