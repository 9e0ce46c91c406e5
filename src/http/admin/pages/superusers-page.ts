// Who was superuser at some instant, from the audit.
import Type from 'typebox'
import type { SuperuserThen } from '../../../core/overview.js'
import { html, type Html } from '../../pages/html.js'
import { instantOf } from '../audit-query.js'
import { SUPERUSERS_QUERY, UsernameCursorSchema } from '../api/superusers.js'
import { emptyState, note, tag, timeText, userLink } from './components.js'
import { filterForm } from './filter-form.js'
import { link } from './links.js'
import { listCursor, PAGE_ROWS } from './list-cursor.js'
import { defineAdminPage } from './page.js'
import { dataTable, pager, results, type Column } from './table.js'

const PATH = '/admin/superusers'

export const superusersPage = defineAdminPage({
  path: PATH,
  permission: 'gatehouse.read',
  title: 'Superusers',
  query: Type.Object({ ...SUPERUSERS_QUERY, after: Type.Optional(Type.String()) }),
  async render({ query, useCases, cursors }) {
    const cursor = listCursor(cursors, 'getSuperusers', UsernameCursorSchema, query.after)
    const at = instantOf('at', query.at) ?? new Date()
    const page = await useCases.overview.superusersAt({ at, after: cursor.after, limit: PAGE_ROWS })
    const fields = [
      { kind: 'time', name: 'at', label: 'At', value: query.at, hint: '2026-11-24T09:00, in UTC; empty: now' } as const,
    ]
    const table = dataTable({ caption: 'Superusers', columns: COLUMNS, rows: page.rows, empty: EMPTY })
    return {
      title: 'Superusers',
      trail: [{ label: 'Overview', href: '/admin' }],
      lead: 'Active users who had the flag at a time, by the audit.',
      content: html`${filterForm({ path: PATH, label: 'Choose a time', fields, submit: 'Show' })}
${
        results(html`<p>At ${timeText(at)}. Users who were removed since are not listed.</p>
${isUnrecorded(page.recordedSince, at)}${table}
${pager({ path: PATH, query, next: cursor.next(page) })}
<p><a href="${link('/admin/audit', { since: at.toISOString() })}">What happened since</a></p>`)
      }`,
    }
  },
})

function isUnrecorded(recordedSince: string | null, at: Date): Html | '' {
  if (recordedSince !== null && new Date(recordedSince) <= at) return ''
  const since = recordedSince === null ? 'now' : timeText(recordedSince)
  return note(html`The audit has changes of the flag since ${since}: who lost it before that is not known.`, 'warn')
}

const COLUMNS: readonly Column<SuperuserThen>[] = [
  { heading: 'User', kind: 'name', cell: userCell },
  { heading: 'Now', cell: ({ isSuperuser }) => isSuperuser ? 'superuser' : tag('no superuser any more') },
]

function userCell(user: SuperuserThen): Html {
  return html`<span class="named">${userLink(user)}</span>`
}

const EMPTY = emptyState({
  title: 'Nobody was superuser then.',
  next: html`<a href="/admin/people?superuser=true">See who is superuser now</a>`,
})
