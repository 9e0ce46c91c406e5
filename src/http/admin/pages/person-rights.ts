// The rights of one user on their page: each with its Entra group, mapping row and beginning.
import type { PersonDetails, Right, RightNotHeld } from '../../../admin/person.js'
import { html, type Html } from '../../pages/html.js'
import { badge, emptyState, nameText } from './components.js'
import { link, linkTo } from './links.js'
import { REVIEWS, reviewText } from './review-acts.js'
import { joined, reasonText, rightLine } from './right-line.js'
import { dataTable, pager } from './table.js'

/** Of a page; few users have more. */
const RIGHTS = 45

/**
 * @param after how many were shown on the pages before
 * @param take leads to the form that takes away a group that was assigned by hand
 */
export function rightsList(
  { id, rights, identities }: PersonDetails,
  after = 0,
  take: (right: Right) => Html = () => html``,
): Html {
  const end = after + RIGHTS
  const table = dataTable<PersonDetails['rights'][number]>({
    caption: 'Rights and their reasons',
    rows: rights.slice(after, end),
    columns: [
      { heading: 'Right', kind: 'name', cell: rightName },
      {
        heading: 'Why',
        kind: 'text',
        cell: (right) => html`${rightLine(right)}${right.byHand && right.kind === 'group' ? take(right) : ''}`,
      },
      { heading: 'Review', kind: 'text', cell: (right) => reviewLink(id, right) },
      { heading: 'Permissions', cell: ({ permissions }) => permissionsText(permissions) },
    ],
    empty: emptyState({
      title: 'Nothing is granted.',
      next: identities.length === 0
        ? 'This user has no Entra account, so no Entra group grants anything.'
        : html`No row of the <a href="/admin/mapping">mapping</a> has an Entra group of this user.`,
    }),
  })
  const next = end < rights.length ? String(end) : undefined
  return html`${table}${pager({ path: linkTo('people', id), query: { after: after || undefined }, next })}`
}

function reviewLink(personId: string, right: PersonDetails['rights'][number]): Html {
  const { kind, name, review } = right
  const href = link(REVIEWS, kind === 'group' ? { q: personId, group: name } : { q: personId, kind })
  return html`${reviewText(review)} <a
 href="${href}">Review<span class="unseen"> of ${nameText(name)}</span></a>`
}

export function notHeldList({ notHeld }: PersonDetails): Html {
  return dataTable<RightNotHeld>({
    caption: 'Granted but not held',
    rows: notHeld,
    columns: [
      { heading: 'Right', cell: rightName },
      { heading: 'Because of', cell: ({ reasons }) => joined(reasons.map(reasonText)) },
      {
        heading: 'What is missing',
        cell: ({ missing }) => missing ? 'There is no local group of this name.' : 'The next sign-in gives it.',
      },
    ],
    empty: html``,
  })
}

function rightName({ kind, name }: Pick<Right, 'kind' | 'name'>): Html {
  return kind === 'group' ? html`<a href="${linkTo('groups', name)}">${nameText(name)}</a>` : badge(kind)
}

export function permissionsText(permissions: readonly string[]): Html {
  return html`${permissions.map((permission, index) => html`${index > 0 ? ' ' : ''}<code>${permission}</code>`)}`
}
