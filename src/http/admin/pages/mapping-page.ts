// Mapping: what each row grants, how many users are in its Entra group, and what is wrong with it.
import {
  MAPPING_FILTERS,
  ROWS,
  type MappingOverview,
  type MappingPage,
  type MappingRowView,
} from '../../../admin/mapping.js'
import type { Counted } from '../../../admin/counted.js'
import type { LargestGroups } from '../../../core/policy.js'
import { html, type Html, type Value } from '../../pages/html.js'
import { emptyState, figures, idText, lineText, named, nameText, note, section, tag, timeText } from './components.js'
import type { AdminActor } from '../actor.js'
import { draftLink, editLink } from './draft-link.js'
import { link, linkTo } from './links.js'
import { shortList } from './lists.js'
import { defineAdminPage } from './page.js'
import { positionFilters, positionQuery, positionResults, type PositionQuery } from './position-list.js'
import { dataTable } from './table.js'

const PATH = '/admin/mapping'

const QUERY = positionQuery(MAPPING_FILTERS)

export const mappingPage = defineAdminPage({
  path: PATH,
  permission: 'gatehouse.read',
  title: 'Mapping',
  query: QUERY,
  async render({ query, actor, useCases: { mapping } }) {
    // Each waits for a count that is under way: one after the other they would wait three times.
    const [page, overview, unmapped] = await Promise.all([
      mapping.rows(query),
      mapping.overview(),
      query.after === undefined ? mapping.unmapped() : undefined,
    ])
    return {
      title: 'Mapping',
      lead: 'Each row of groupMapping: an Entra group, and all that it grants. Members get it when they sign in.',
      content: html`${draftLink(actor)}${overviewOf(overview, page)}${warnings(overview)}
${filters(query)}
${positionResults(rowTable(page, query, overview, actor), { path: PATH, query, next: page.next })}
${query.after === undefined ? unmappedSection(unmapped) : ''}`,
    }
  },
})

/** A link to a row of the mapping, wherever its page begins. @param row counted from 1 */
export function rowLink(row: number, text: Value = `row ${row}`): Html {
  return html`<a href="${link(PATH, { after: row > ROWS ? row - 1 : undefined })}#row-${row}">${text}</a>`
}

function overviewOf({ rows, unused, missing, twice }: MappingOverview, { countedAt }: MappingPage): Html {
  return figures([
    { label: 'Rows', value: rows, href: PATH },
    {
      label: 'Rows without users',
      value: unused ?? 'being counted',
      href: link(PATH, { only: 'unused' }),
      lead: countedAt === undefined ? 'Reload the page in a moment.' : html`counted at ${timeText(countedAt)}`,
    },
    { label: 'Missing local groups', value: missing.length, href: link(PATH, { only: 'missing' }) },
    { label: 'Local groups of several rows', value: twice.length, href: link(PATH, { only: 'twice' }) },
  ])
}

function warnings({ missing }: MappingOverview): Html | string {
  if (missing.length === 0) return ''
  return note(
    html`Sign-ins skip local groups that do not exist: ${shortList(missing, nameText)}. Add them with
<code>gatehouse groups add</code>, or correct the rows.`,
    'warn',
  )
}

function filters(query: PositionQuery): Html {
  return positionFilters({
    path: PATH,
    label: 'Filter the rows',
    query,
    search: 'Label, object ID or local group',
    options: [
      { value: '', label: 'All rows' },
      { value: 'unused', label: 'Rows without users' },
      { value: 'missing', label: 'Rows with a missing local group' },
      { value: 'twice', label: 'Rows that share a local group' },
    ],
  })
}

function rowTable(
  { rows }: MappingPage,
  { q, only }: PositionQuery,
  { rows: all }: MappingOverview,
  actor: AdminActor,
): Html {
  return dataTable({
    caption: 'Rows of the mapping',
    columns: [
      { heading: 'Row', cell: (row) => html`${rowName(row)}${editLink(actor, 'row', row.row)}` },
      { heading: 'Entra group', cell: ({ label, entraGroup }) => entraGroupName(label, entraGroup) },
      { heading: 'Grants', cell: grantsOf },
      { heading: 'Users in it', cell: ({ users }) => users ?? html`<span class="soft">…</span>`, kind: 'number' },
    ],
    rows,
    empty: all === 0
      ? emptyState({
        title: 'The mapping has no rows: no user gets a group or a flag.',
        next: html`Add a row for each Entra group to <code>groupMapping</code> in the configuration.`,
      })
      : emptyState({
        title: 'No row matches.',
        next: q === undefined && only === undefined
          ? html`<a href="${PATH}">Show the first rows</a>`
          : html`<a href="${PATH}">Show all rows</a>, or search for another word.`,
      }),
  })
}

function rowName({ row, position }: MappingRowView): Html {
  return html`<a id="row-${row}" href="#row-${row}">${row}</a>${lineText(position)}`
}

function entraGroupName(label: string | null, entraGroup: string): Html {
  return label === null ? idText(entraGroup) : named({ name: label, id: entraGroup })
}

function grantsOf({ groups, isStaff, isSuperuser }: MappingRowView): Html {
  const flags = [...isSuperuser ? [tag('superuser', 'strong')] : [], ...isStaff ? [tag('staff', 'info')] : []]
  if (flags.length === 0 && groups.length === 0) return html`<span class="soft">nothing</span>`
  const local = shortList(
    groups,
    ({ name, exists, otherRows }) =>
      html`<a href="${linkTo('groups', name)}">${nameText(name)}</a>${exists ? '' : html` ${tag('missing', 'warn')}`}${
        otherRows.length === 0
          ? ''
          : html` <span class="soft">(also ${shortList(otherRows, (row) => rowLink(row), 3)})</span>`
      }`,
  )
  return html`${flags}${flags.length > 0 && groups.length > 0 ? ' ' : ''}${local}`
}

function unmappedSection(counted: Counted<LargestGroups> | undefined): Html {
  const lead = counted === undefined
    ? 'Being counted: reload the page in a moment.'
    : html`The largest Entra groups in the last snapshots of ${counted.value.snapshots} active users, as of ${
      timeText(counted.at)
    }.`
  const content = counted === undefined ? html`` : dataTable({
    caption: 'Entra groups without a row',
    columns: [
      { heading: 'Entra group', cell: ({ entraGroup }) => idText(entraGroup) },
      { heading: 'Users in it', cell: ({ users }) => users, kind: 'number' },
    ],
    rows: counted.value.groups,
    empty: emptyState({
      title: 'Every Entra group of the snapshots has a row.',
      next: 'A snapshot is taken when somebody signs in.',
    }),
  })
  return section({ id: 'unmapped', title: 'Entra groups without a row', lead, content })
}
