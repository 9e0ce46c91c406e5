// The list of users: search, filters, and the same list as CSV.
import Type from 'typebox'
import type { PersonSummary } from '../../../core/people.js'
import { html, type Html } from '../../pages/html.js'
import { PEOPLE_FILTERS } from '../api/people.js'
import { PeopleCursorSchema } from '../api/people-schemas.js'
import { badge, emptyState, nameText, tag, timeText, userLink } from './components.js'
import { filterForm, filterValue, type FilterField } from './filter-form.js'
import { link, type LinkParameters } from './links.js'
import { listCursor, PAGE_ROWS } from './list-cursor.js'
import { addPage } from './person-acts.js'
import { defineAdminPage } from './page.js'
import { shortened } from './shortened.js'
import { dataTable, pager, results, type Column } from './table.js'

const PATH = '/admin/people'
const DAYS = [30, 90, 180, 365]

export const peoplePage = defineAdminPage({
  path: PATH,
  permission: 'gatehouse.read',
  title: 'People',
  query: Type.Object({ ...PEOPLE_FILTERS, after: Type.Optional(Type.String()) }),
  async render({ query, useCases, cursors, actor }) {
    const { after, ...filter } = query
    const cursor = listCursor(cursors, 'getPeople', PeopleCursorSchema, after)
    const page = await useCases.people.list({ ...filter, after: cursor.after, limit: PAGE_ROWS })
    const more = cursor.next(page)
    const table = dataTable({ caption: 'Users', columns: COLUMNS, rows: page.rows, empty: empty(filter, more) })
    return {
      title: 'People',
      lead: 'Everybody who has signed in, and users that were added by hand.',
      content: html`${filterForm({ path: PATH, label: 'Filter people', fields: fieldsOf(filter) })}
${
        results(html`${table}
${pager({ path: PATH, query, next: more })}
<p><a href="${link(`${PATH}.csv`, filter)}" hx-boost="false" download>Download this list as CSV</a></p>`)
      }${
        actor.permissions.has('gatehouse.people')
          ? html`<p><a class="button" href="${addPage.page.path}">Add a user</a></p>`
          : ''
      }`,
    }
  },
})

const COLUMNS: readonly Column<PersonSummary>[] = [
  { heading: 'Name', cell: nameCell },
  { heading: 'Properties', cell: badges },
  { heading: 'E-mail', cell: ({ email }) => email === null ? '' : nameText(shortened(email)) },
  { heading: 'Groups', kind: 'number', cell: ({ groupCount }) => groupCount },
  { heading: 'Last seen', kind: 'time', cell: ({ lastSeenAt }) => timeText(lastSeenAt, 'never') },
]

function nameCell(person: PersonSummary): Html {
  return html`<span class="named">${userLink(person)}</span>`
}

function badges({ isActive, isStaff, isSuperuser, isGuest, isBreakGlass, handMadeCount }: PersonSummary): Html {
  const by = (given: boolean, shown: Html): Html | string => given ? shown : ''
  return html`${by(isSuperuser, badge('superuser'))}${by(isStaff, badge('staff'))}${by(!isActive, badge('inactive'))}${
    by(isGuest, badge('guest'))
  }${by(isBreakGlass, tag('break-glass', 'warn'))}${by(handMadeCount > 0, badge('byHand'))}`
}

function fieldsOf(filter: LinkParameters): readonly FilterField[] {
  const valueOf = (name: string): string | undefined => filterValue(filter, name)
  const choice = (name: string, label: string, yes: string, no: string): FilterField => ({
    kind: 'select',
    name,
    label,
    value: valueOf(name),
    options: [{ value: '', label: 'All' }, { value: 'true', label: yes }, { value: 'false', label: no }],
  })
  const hint = 'A name, UPN or e-mail, or a part of it; or an object ID'
  const days = valueOf('notSeenDays')
  const known = days === undefined || DAYS.includes(Number(days)) ? DAYS : [...DAYS, Number(days)]
  return [
    { kind: 'search', name: 'q', label: 'Search', value: valueOf('q'), hint },
    choice('staff', 'Staff', 'Staff', 'Others'),
    choice('superuser', 'Superuser', 'Superusers', 'Others'),
    choice('active', 'Active', 'Active', 'Inactive'),
    choice('guest', 'Guest', 'Guests', 'Members'),
    choice('handMade', 'Groups by hand', 'With', 'Without'),
    {
      kind: 'select',
      name: 'notSeenDays',
      label: 'Not seen for',
      value: days,
      options: [
        { value: '', label: 'Any time' },
        ...known.map((each) => ({ value: `${each}`, label: `${each} days` })),
      ],
    },
    ...valueOf('group') === undefined
      ? []
      : [{ kind: 'text', name: 'group', label: 'Local group', value: valueOf('group') } satisfies FilterField],
  ]
}

function empty(filter: LinkParameters, more: string | undefined): Html {
  if (more !== undefined) {
    return emptyState({
      title: 'None of the users on this page fulfils all filters.',
      next: 'There are more users: go to the next page, or search by name.',
    })
  }
  if (Object.values(filter).some((value) => value !== undefined)) {
    return emptyState({
      title: 'No user fulfils all of these filters.',
      next: html`<a href="${PATH}">Show everybody</a>, or search for a part of a name.`,
    })
  }
  return emptyState({
    title: 'There are no users yet.',
    next: 'A user appears here after the first sign-in. What Entra groups grant is on the page Mapping.',
  })
}
