// Why somebody has a right: the rows of the mapping as links, with the Entra group of each.
import type { RightReason } from '../../../admin/person.js'
import type { Cause } from '../../../core/mapping.js'
import { html, type Html } from '../../pages/html.js'
import { badge, idText, nameText, timeText } from './components.js'
import { rowLink } from './mapping-page.js'

export { rowLink } from './mapping-page.js'

export interface RightLine {
  readonly byHand: boolean
  /** It was assigned by hand, and the user has an Entra identity. */
  readonly endsAtNextSignIn?: boolean
  readonly reasons: readonly RightReason[]
  readonly since: string | null
  /** When it ends. */
  readonly until?: string | null
}

/** "because of Network team 3f0f… (row 3), since 2026-11-21 08:00 UTC" */
export function rightLine({ byHand, endsAtNextSignIn = false, reasons, since, until = null }: RightLine): Html {
  const time = since === null ? '' : html`, since ${timeText(since)}`
  if (byHand) {
    const last = until === null ? '' : html`, until ${timeText(until)}`
    const end = endsAtNextSignIn ? '; gone at the next sign-in or re-evaluation' : ''
    return html`<span class="reason">${badge('byHand')} assigned by an administrator${time}${last}${end}</span>`
  }
  return html`<span class="reason">because of ${joined(reasons.map(reasonText))}${time}</span>`
}

/** Of a list of members, which has the rows as they were when the right was granted. */
export function causeLine(
  { cause, until }: { readonly cause: readonly Cause[] | null, readonly until: string | null },
  labelOf: (entraGroup: string) => string | null,
): Html {
  const reasons = (cause ?? []).map(({ row, entraGroup }) => ({
    row,
    entraGroup,
    label: labelOf(entraGroup),
    inForce: true,
  }))
  return rightLine({ byHand: cause === null, reasons, since: null, until })
}

export function reasonText({ row, entraGroup, label, inForce }: RightReason): Html {
  const place = inForce ? rowLink(row) : `row ${row} of an earlier mapping`
  return html`${label === null ? '' : html`${nameText(label)} `}${idText(entraGroup)} (${place})`
}

export function joined(parts: readonly Html[]): Html {
  return html`${parts.map((part, index) => html`${index > 0 ? ', ' : ''}${part}`)}`
}
