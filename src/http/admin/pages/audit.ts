// The page of the record: what was done, by whom, and what it changed.
import Type, { type Static } from 'typebox'
import type { AuditActor, AuditCursor, AuditView } from '../../../core/audit.js'
import { GatehouseError } from '../../../core/errors.js'
import type { Page } from '../../../core/page.js'
import { html, type Html } from '../../pages/html.js'
import { AUDIT_FILTERS, auditQueryOf, cursorOf, cursorText } from '../audit-query.js'
import { actorText, MAX_VALUE, rowDetail } from './audit-row.js'
import { emptyState, idText, nameText, note, timeText } from './components.js'
import { filterForm } from './filter-form.js'
import { link, linkTo } from './links.js'
import { defineAdminPage } from './page.js'
import { shortened } from './shortened.js'
import { dataTable, pager, results } from './table.js'

const PATH = '/admin/audit'
const ROWS = 25
const QUERY = Type.Object({ ...AUDIT_FILTERS, after: Type.Optional(Type.String({ maxLength: 80 })) })
type Query = Static<typeof QUERY>

export const auditPage = defineAdminPage({
  path: PATH,
  permission: 'gatehouse.read',
  title: 'Audit',
  query: QUERY,
  async render({ query, useCases }) {
    const { after, ...filters } = query
    const found = await useCases.audit
      .list({ ...auditQueryOf(filters), after: cursorOf(after), limit: ROWS })
      .catch(unknownPerson)
    const shown = 'code' in found
      ? note(found.sentence)
      : list(query, found, await useCases.audit.actorsOf(found.rows))
    return {
      title: 'Audit',
      lead: 'Sign-ins and changes, newest first. Rows are only ever added.',
      content: html`${form(filters)}${results(shown)}`,
    }
  },
})

/** A person who is not found is an answer to a search, and no failure of the page. */
function unknownPerson(error: unknown): { readonly code: string, readonly sentence: string } {
  if (error instanceof GatehouseError && error.code === 'user_unknown') {
    const sentence = 'There is no such user. The rows of a user who was removed are found by their id.'
    return { code: error.code, sentence }
  }
  if (error instanceof GatehouseError && error.code === 'user_ambiguous') {
    return { code: error.code, sentence: 'Several users match: write the username or the id.' }
  }
  throw error
}

function form({ person, actor, action, correlationId, since, until }: Omit<Query, 'after'>): Html {
  return filterForm({
    path: PATH,
    label: 'Filter the record',
    fields: [
      { kind: 'search', name: 'person', label: 'About', value: person, hint: 'Username, UPN, e-mail or id' },
      { kind: 'text', name: 'actor', label: 'By', value: actor, hint: 'login, sync, cli:NAME' },
      { kind: 'text', name: 'action', label: 'Action', value: action, hint: 'group finds group.add' },
      { kind: 'text', name: 'correlationId', label: 'Correlation id', value: correlationId },
      { kind: 'time', name: 'since', label: 'Since (UTC)', value: since, hint: '2026-11-28 or 2026-11-28T08:30' },
      { kind: 'time', name: 'until', label: 'Before (UTC)', value: until },
    ],
  })
}

function list(
  query: Query,
  { rows, next }: Page<AuditView, AuditCursor>,
  actors: ReadonlyMap<string, AuditActor>,
): Html {
  const { after: _after, ...filters } = query
  const files = rows.length === 0 ? '' : html`<p class="soft">All rows of this filter as a file: <a
 href="${link(`${PATH}.csv`, filters)}">CSV</a>, <a href="${link(`${PATH}.ndjson`, filters)}">NDJSON</a>.</p>`
  return html`${
    dataTable({
      caption: 'Rows of the record',
      columns: [
        { heading: 'Time', kind: 'time', cell: ({ at }: AuditView) => timeText(at) },
        {
          heading: 'Action',
          kind: 'code',
          cell: ({ action }) => html`<a href="${link(PATH, { action })}">${action}</a>`,
        },
        { heading: 'By', cell: ({ actor }) => by(actor, actors) },
        { heading: 'About', kind: 'name', cell: about },
        { heading: 'What', kind: 'text', cell: what },
      ],
      rows,
      empty: emptyState({
        title: 'No row of the record meets this filter.',
        next: html`Choose a longer time, or <a href="${PATH}">show the whole record</a>.`,
      }),
    })
  }${pager({ path: PATH, query, next: next === undefined ? null : cursorText(next) })}${files}`
}

function about({ userId, username }: AuditView): Html | string {
  if (userId === null) return username === null ? '' : nameText(short(username))
  const name = username === null ? html`<span class="soft">removed user</span>` : nameText(short(username))
  return html`<span class="named"><a href="${linkTo('people', userId)}">${name}</a>${
    username === null ? idText(userId) : ''
  }</span>`
}

function what({ detail, correlationId }: AuditView): Html {
  return rowDetail(detail, correlationId === null ? '' : sameRequest(correlationId))
}

function sameRequest(correlationId: string): Html {
  const label = `Rows with the correlation id ${correlationId}`
  return html`<a href="${link(PATH, { correlationId })}" aria-label="${label}">${idText(correlationId)}</a>`
}

/** The name leads to all rows by this actor; an administrator's name to the person. */
function by(actor: string, actors: ReadonlyMap<string, AuditActor>): Html {
  const all = link(PATH, { actor })
  if (!actors.has(actor)) return html`<a href="${all}">${nameText(short(actor))}</a>`
  return html`<span class="named">${actorText(actor, actors)}<a class="soft" href="${all}">all by them</a></span>`
}

function short(text: string): string {
  return shortened(text, MAX_VALUE)
}
