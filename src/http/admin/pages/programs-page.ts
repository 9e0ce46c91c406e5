// Programs at the admin API: their tokens, with owner, scopes, last use and end.
import Type from 'typebox'
import type { TokenView } from '../../../core/tokens.js'
import { html, type Html } from '../../pages/html.js'
import { TokenCursorSchema } from '../api/tokens.js'
import { emptyState, idText, nameText, tag, timeText } from './components.js'
import { linkTo } from './links.js'
import { listCursor, PAGE_ROWS } from './list-cursor.js'
import { defineAdminPage } from './page.js'
import { shortened } from './shortened.js'
import { dataTable, pager, results, type Column } from './table.js'
import { addTokenPage } from './token-acts.js'

const PATH = '/admin/programs'

export const programsPage = defineAdminPage({
  path: PATH,
  permission: 'gatehouse.read',
  title: 'Programs',
  query: Type.Object({ after: Type.Optional(Type.String()) }),
  async render({ query, useCases, cursors, actor }) {
    const cursor = listCursor(cursors, 'getTokens', TokenCursorSchema, query.after)
    const page = await useCases.tokens.list({ after: cursor.after, limit: PAGE_ROWS })
    const mayChange = actor.permissions.has('gatehouse.tokens')
    const table = dataTable({
      caption: 'API tokens',
      columns: mayChange ? [...COLUMNS, REVOKE] : COLUMNS,
      rows: page.rows,
      empty: empty(mayChange),
    })
    const add = html`<ul class="acts"><li><a class="button" href="${addTokenPage.page.path}">Make an API token</a></li>
</ul>`
    return {
      title: 'Programs',
      lead: 'API tokens, with which programs ask the admin API, the newest first.',
      content: html`${mayChange ? add : ''}
${
        results(html`${table}
${pager({ path: PATH, query, next: cursor.next(page) })}`)
      }`,
    }
  },
})

const STATES = {
  active: tag('active', 'good'),
  expired: tag('expired'),
  revoked: tag('revoked', 'bad'),
  ownerInactive: tag('owner inactive', 'warn'),
} as const

const COLUMNS: readonly Column<TokenView>[] = [
  {
    heading: 'Token',
    cell: ({ name, id }) =>
      html`<span class="named"><span class="name">${nameText(shortened(name))}</span>${idText(id)}</span>`,
  },
  {
    heading: 'Owner',
    cell: ({ ownerId, owner }) => html`<a href="${linkTo('people', ownerId)}">${nameText(shortened(owner))}</a>`,
  },
  { heading: 'Scopes', cell: ({ scopes }) => scopes.map((scope) => html`<div><code>${scope}</code></div>`) },
  { heading: 'State', cell: ({ state }) => STATES[state] },
  { heading: 'Last use', kind: 'time', cell: ({ lastUsedAt }) => timeText(lastUsedAt, 'never') },
  { heading: 'Ends', kind: 'time', cell: ({ expiresAt }) => timeText(expiresAt) },
  { heading: 'Made', kind: 'time', cell: ({ createdAt }) => timeText(createdAt) },
]

const REVOKE: Column<TokenView> = {
  heading: 'Revoke',
  cell: ({ id, name, state }) => state === 'active' || state === 'ownerInactive' ? revokeLink(id, name) : '',
}

function revokeLink(id: string, name: string): Html {
  return html`<a class="button small" href="${linkTo('programs', id)}/revoke">Revoke<span class="unseen"> the token ${
    nameText(name)
  }</span></a>`
}

function empty(mayChange: boolean): Html {
  return emptyState({
    title: 'No program has an API token.',
    next: mayChange
      ? html`<a href="${addTokenPage.page.path}">Make an API token</a> for a program that asks the admin API.`
      : html`Administrators with <code>gatehouse.tokens</code> make them.`,
  })
}
