// The active sessions: by person, host, browser, address and age.
import Type from 'typebox'
import { GatehouseError } from '../../../core/errors.js'
import type { Page } from '../../../core/page.js'
import type { SessionCursor, SessionView } from '../../../core/sessions-list.js'
import { html, type Html } from '../../pages/html.js'
import { SESSION_FILTERS, SessionCursorSchema } from '../api/sessions.js'
import { emptyState, idText, nameText, note, timeText } from './components.js'
import { filterForm, type FilterField } from './filter-form.js'
import { linkTo, type LinkParameters } from './links.js'
import { listCursor, PAGE_ROWS } from './list-cursor.js'
import { defineAdminPage } from './page.js'
import { endManyLinks, endSessionLink } from './session-acts.js'
import { shortened } from './shortened.js'
import { dataTable, pager, results, type Column } from './table.js'

const PATH = '/admin/sessions'
const NONE: Page<SessionView, SessionCursor> = { rows: [], next: undefined }

export const sessionsPage = defineAdminPage({
  path: PATH,
  permission: 'gatehouse.read',
  title: 'Sessions',
  query: Type.Object({ ...SESSION_FILTERS, after: Type.Optional(Type.String()) }),
  async render({ query, useCases, cursors, actor }) {
    const { after, ...filter } = query
    const cursor = listCursor(cursors, 'getSessions', SessionCursorSchema, after)
    const { page = NONE, problem } = await found(
      useCases.sessions.list({ ...filter, after: cursor.after, limit: PAGE_ROWS }),
    )
    const more = cursor.next(page)
    const table = dataTable({
      caption: 'Active sessions',
      columns: actor.permissions.has('gatehouse.sessions') ? [...COLUMNS, END] : COLUMNS,
      rows: page.rows,
      empty: empty(filter, more),
    })
    return {
      title: 'Sessions',
      lead: 'Sessions that are active now, the newest first.',
      content: html`${filterForm({ path: PATH, label: 'Filter sessions', fields: fieldsOf(filter) })}
${
        results(html`${problem ?? table}
${pager({ path: PATH, query, next: more })}`)
      }${actor.permissions.has('gatehouse.sessions') ? endManyLinks() : ''}`,
    }
  },
})

/** A name that no user or several users have is a mistake in the form, and not in the address. */
async function found(
  page: Promise<Page<SessionView, SessionCursor>>,
): Promise<{ page?: Page<SessionView, SessionCursor>, problem?: Html }> {
  try {
    return { page: await page }
  } catch (error) {
    if (!(error instanceof GatehouseError)) throw error
    if (error.code === 'user_unknown') return { problem: note('No user has this name, UPN, e-mail address or id.') }
    if (error.code === 'user_ambiguous') return { problem: note('Several users have this e-mail address.') }
    throw error
  }
}

const COLUMNS: readonly Column<SessionView>[] = [
  {
    heading: 'User',
    kind: 'name',
    cell: ({ userId, username }) => html`<a href="${linkTo('people', userId)}">${nameText(shortened(username))}</a>`,
  },
  { heading: 'Signed in', kind: 'time', cell: ({ createdAt }) => timeText(createdAt) },
  { heading: 'Last seen', kind: 'time', cell: ({ lastSeenAt }) => timeText(lastSeenAt) },
  { heading: 'Browser', cell: ({ browser }) => text(browser) },
  { heading: 'Address', cell: ({ address }) => text(address) },
  { heading: 'Host', cell: ({ host }) => text(host) },
  { heading: 'Session', cell: ({ id }) => idText(id) },
]

const END: Column<SessionView> = { heading: 'End', cell: endSessionLink }

function text(value: string | null): Html {
  return value === null ? html`` : nameText(shortened(value))
}

function fieldsOf({ person, host, browser, address, olderThanHours }: LinkParameters): readonly FilterField[] {
  const value = (given: LinkParameters[string]): string | undefined =>
    given === undefined || given === null ? undefined : String(given)
  return [
    {
      kind: 'search',
      name: 'person',
      label: 'User',
      value: value(person),
      hint: 'Username, UPN, e-mail address or id.',
    },
    { kind: 'text', name: 'host', label: 'Host', value: value(host) },
    { kind: 'text', name: 'browser', label: 'Browser', value: value(browser) },
    { kind: 'text', name: 'address', label: 'Address', value: value(address) },
    { kind: 'number', name: 'olderThanHours', label: 'Older than (hours)', value: value(olderThanHours), min: 1 },
  ]
}

function empty({ host, browser, address, ...others }: LinkParameters, more: string | undefined): Html {
  if (more !== undefined) {
    return emptyState({ title: 'None of the sessions on this page fulfils all filters.', next: 'Go to the next page.' })
  }
  if ([host, browser, address].some((value) => value !== undefined)) {
    return emptyState({
      title: 'No session was used so.',
      next: html`Host, browser and address are recorded where <code>session.recordClient</code> is set.`,
    })
  }
  if (Object.values(others).some((value) => value !== undefined)) {
    return emptyState({ title: 'No session is found.', next: html`<a href="${PATH}">Show all sessions</a>` })
  }
  return emptyState({ title: 'No user is signed in.', next: 'A session begins with a sign-in.' })
}
