// The sessions of one user and the latest audit rows about them, on their page.
import type { PersonDetails, PersonEvent } from '../../../admin/person.js'
import type { AuditActor } from '../../../core/audit.js'
import type { SessionView } from '../../../core/sessions-list.js'
import { html, type Html } from '../../pages/html.js'
import { actorText, rowDetail } from './audit-row.js'
import { emptyState, idText, nameText, timeText } from './components.js'
import { link } from './links.js'
import { shortened } from './shortened.js'
import { dataTable } from './table.js'

/** On this page; the page of sessions lists all of them. */
const MOST_SESSIONS = 20

export function personSessions(
  { id, liveSessions }: PersonDetails,
  sessions: readonly SessionView[],
  end?: (session: SessionView) => Html,
): Html {
  const shown = sessions.slice(0, MOST_SESSIONS)
  const table = dataTable<SessionView>({
    caption: 'Active sessions',
    rows: shown,
    columns: [
      { heading: 'Session', kind: 'code', cell: (session) => idText(session.id) },
      { heading: 'Signed in', kind: 'time', cell: ({ createdAt }) => timeText(createdAt) },
      { heading: 'Last seen', kind: 'time', cell: ({ lastSeenAt }) => timeText(lastSeenAt) },
      { heading: 'Used from', cell: clientText },
      ...end === undefined ? [] : [{ heading: 'End', cell: end }],
    ],
    empty: emptyState({ title: 'No active session.', next: 'A session begins with a sign-in.' }),
  })
  if (liveSessions <= shown.length) return table
  return html`${table}<p><a href="${link('/admin/sessions', { person: id })}">All ${liveSessions} sessions</a></p>`
}

export function clientText({ browser, address, host }: Pick<SessionView, 'browser' | 'address' | 'host'>): Html {
  const known = [browser, address, host].filter((each) => each !== null)
  return html`${known.map((each, index) => html`${index > 0 ? ', ' : ''}${nameText(shortened(each))}`)}`
}

export function personEvents({ id, audit }: PersonDetails, actors: ReadonlyMap<string, AuditActor>): Html {
  const table = dataTable<PersonEvent>({
    caption: 'The latest audit rows about this user',
    rows: audit,
    columns: [
      { heading: 'Time', kind: 'time', cell: ({ at }) => timeText(at) },
      { heading: 'Action', kind: 'code', cell: ({ action }) => html`<code>${action}</code>` },
      { heading: 'By', cell: ({ actor }) => actorText(actor, actors) },
      { heading: 'What', kind: 'text', cell: ({ detail }) => rowDetail(detail) },
    ],
    empty: emptyState({ title: 'No row is about this user.', next: 'Sign-ins and changes are recorded here.' }),
  })
  return html`${table}<p><a href="${link('/admin/audit', { person: id })}">All rows about this user</a></p>`
}
