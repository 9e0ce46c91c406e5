// The list of local groups: members, permissions, what grants them and what uses them; also names without a group.
import Type from 'typebox'
import type { GroupSummary } from '../../../admin/groups.js'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { GROUP_FILTERS } from '../api/groups.js'
import { emptyState, nameText, tabs, tag } from './components.js'
import { filterForm } from './filter-form.js'
import { addGroupPage } from './group-acts.js'
import { groupsActs } from './group-import.js'
import { link, linkTo } from './links.js'
import { listCursor, PAGE_ROWS } from './list-cursor.js'
import { defineAdminPage } from './page.js'
import { permissionsText } from './person-rights.js'
import { joined, rowLink } from './right-line.js'
import { shortened } from './shortened.js'
import { dataTable, pager, results, type Column } from './table.js'

const PATH = '/admin/groups'

const VIEWS = [
  { title: 'All groups', name: undefined },
  { title: 'Without members', name: 'empty' },
  { title: 'Unused', name: 'unused' },
  { title: 'Missing', name: 'missing' },
] as const

export const groupsPage = defineAdminPage({
  path: PATH,
  permission: 'gatehouse.read',
  title: 'Groups',
  query: Type.Object({ ...GROUP_FILTERS, after: Type.Optional(Type.String()) }),
  async render({ query, useCases, cursors, actor }) {
    const { after, ...filter } = query
    const { q } = filter
    const cursor = listCursor(cursors, 'getGroups', Type.String(), after)
    const page = await useCases.groups.list({ ...filter, after: cursor.after, limit: PAGE_ROWS })
    const current = VIEWS.find(({ name }) => name !== undefined && filter[name]) ?? VIEWS[0]
    const items = VIEWS.map(({ title, name }) => ({
      title,
      href: link(PATH, { q, ...name === undefined ? {} : { [name]: true } }),
      current: name === current.name,
    }))
    const kept = current.name === undefined ? {} : { [current.name]: 'true' }
    const fields = [{ kind: 'search', name: 'q', label: 'Search', value: q, hint: 'A part of the name.' } as const]
    const none = empty(current.name, actor)
    const table = dataTable({ caption: current.title, columns: COLUMNS, rows: page.rows, empty: none })
    return {
      title: 'Groups',
      lead: 'Local groups: the mapping grants them, access rules and applications use them.',
      content: html`${groupsActs(actor)}
${tabs({ label: 'Groups', items })}
${filterForm({ path: PATH, label: 'Filter groups', fields, kept })}
${
        results(html`${table}
${pager({ path: PATH, query, next: cursor.next(page) })}`)
      }`,
    }
  },
})

const COLUMNS: readonly Column<GroupSummary>[] = [
  { heading: 'Name', cell: nameCell },
  { heading: 'Members', kind: 'number', cell: ({ members }) => members },
  { heading: 'Permissions', cell: ({ permissions }) => permissionsText(permissions) },
  { heading: 'Granted by', cell: ({ rows }) => joined(rows.map((row) => rowLink(row))) },
  { heading: 'Used by', cell: ({ rules }) => joined(rules.map((rule) => html`<code>${rule}</code>`)) },
  { heading: 'Remarks', cell: remarks },
]

function nameCell({ name, description }: GroupSummary): Html {
  return html`<span class="named"><a href="${linkTo('groups', name)}">${nameText(shortened(name))}</a>${
    description === '' ? '' : html`<span class="soft">${nameText(shortened(description))}</span>`
  }</span>`
}

function remarks({ exists, isEmpty, isUnused }: GroupSummary): Html {
  if (!exists) return tag('missing', 'bad')
  return html`${isEmpty ? tag('empty') : ''}${isUnused ? tag('unused') : ''}`
}

function empty(view: (typeof VIEWS)[number]['name'], { permissions }: AdminActor): Html {
  if (view === undefined) {
    return emptyState({
      title: 'No group is found.',
      next: html`A sign-in never adds one: ${
        permissions.has('gatehouse.policy')
          ? html`<a href="${addGroupPage.page.path}">add a group</a>`
          : html`<code>gatehouse groups add NAME</code> does.`
      }`,
    })
  }
  const title = {
    empty: 'Every group has members.',
    unused: 'Every group has a permission, or a rule names it.',
    missing: 'Every group that the mapping or a rule names exists.',
  }[view]
  return emptyState({ title, next: html`<a href="${PATH}">Show all groups</a>` })
}
