// The rights of one user on their page: each with its Entra group, mapping row and beginning.
import type { PersonDetails, Right, RightNotHeld } from '../../../admin/person.js'
import { html, type Html } from '../../pages/html.js'
import { badge, emptyState, nameText } from './components.js'
import { linkTo } from './links.js'
import { joined, reasonText, rightLine } from './right-line.js'
import { dataTable } from './table.js'

export function rightsList({ rights, identities }: PersonDetails): Html {
  return dataTable<Right>({
    caption: 'Rights and their reasons',
    rows: rights,
    columns: [
      { heading: 'Right', cell: rightName },
      { heading: 'Why', cell: rightLine },
      { heading: 'Permissions', cell: ({ permissions }) => permissionsText(permissions) },
    ],
    empty: emptyState({
      title: 'Nothing is granted.',
      next: identities.length === 0
        ? 'This user has no Entra account, so no Entra group grants anything.'
        : html`No row of the <a href="/admin/mapping">mapping</a> has an Entra group of this user.`,
    }),
  })
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
