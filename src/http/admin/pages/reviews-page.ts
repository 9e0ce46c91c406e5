// The report of access reviews: who has which right, why, and whether a reviewer found it still right.
import Type from 'typebox'
import type { ReviewedRight } from '../../../admin/reviews.js'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { REVIEW_FILTERS, RightsCursorSchema } from '../api/reviews.js'
import { badge, emptyState, userLink } from './components.js'
import { filterForm, filterValue, type FilterField } from './filter-form.js'
import { link, linkTo, type LinkParameters } from './links.js'
import { listCursor } from './list-cursor.js'
import { defineAdminPage } from './page.js'
import { markForm, permitsText, REVIEWS, reviewText, rightName } from './review-acts.js'
import { rightLine } from './right-line.js'
import { dataTable, pager, results, type Column } from './table.js'

/** Fewer than of other lists: each row has a form. */
const ROWS = 20
/** Of a group, in its row. */
const PERMISSIONS = 5

type Query = Readonly<Record<string, string | number | boolean | undefined>>

export const reviewsPage = defineAdminPage({
  path: REVIEWS,
  permission: 'gatehouse.read',
  title: 'Reviews',
  query: Type.Object({ ...REVIEW_FILTERS, after: Type.Optional(Type.String()) }),
  async render({ query, useCases, cursors, actor }) {
    const { after, ...filter } = query
    const cursor = listCursor(cursors, 'getReviews', RightsCursorSchema, after)
    const page = await useCases.reviews.list({ ...filter, after: cursor.after, limit: ROWS })
    const more = cursor.next(page)
    const rows = page.rows.map((right, index) => ({ right, row: index + 1 }))
    const table = dataTable({
      caption: 'Rights and their reviews',
      columns: columnsOf(actor, query),
      rows,
      empty: empty(filter, more),
    })
    return {
      title: 'Reviews',
      lead: 'Who has which right and why, and whether a reviewer found it still right. A review falls when the right ' +
        'changes.',
      content: html`${filterForm({ path: REVIEWS, label: 'Filter rights', fields: fieldsOf(filter) })}
${
        results(html`${table}
${pager({ path: REVIEWS, query, next: more })}
<p>Download all pages of this list as <a href="${link(`${REVIEWS}.csv`, filter)}" hx-boost="false" download>CSV</a> or
<a href="${link(`${REVIEWS}.ndjson`, filter)}" hx-boost="false" download>NDJSON</a></p>`)
      }`,
    }
  },
})

interface Row {
  readonly right: ReviewedRight
  /** On its page, from 1. */
  readonly row: number
}

function columnsOf(actor: AdminActor, query: Query): readonly Column<Row>[] {
  return [
    { heading: 'User', kind: 'name', cell: userCell },
    { heading: 'Right', kind: 'name', cell: ({ right }) => rightName(right) },
    { heading: 'Permits', kind: 'text', cell: permitsCell },
    { heading: 'Why', kind: 'text', cell: ({ right }) => rightLine(right) },
    {
      heading: 'Still right?',
      kind: 'text',
      cell: ({ right, row }) => html`${reviewCell(right)}${markForm(right, actor, { query, row })}`,
    },
  ]
}

function userCell({ right: { personId: id, username, name, isActive }, row }: Row): Html {
  return html`<span class="named" id="row-${row}">${userLink({ id, username, name })}</span>${
    isActive ? '' : badge('inactive')
  }`
}

function permitsCell({ right }: Row): Html {
  return right.kind === 'group' ? permitsText(right, PERMISSIONS) : html``
}

function reviewCell({ personId, review }: ReviewedRight): Html {
  const next = review?.verdict === 'doubted'
    ? html` <a href="${linkTo('people', personId)}#rights">Take it away</a>`
    : ''
  return html`${reviewText(review)}${next}`
}

function fieldsOf(filter: LinkParameters): readonly FilterField[] {
  const valueOf = (name: string): string | undefined => filterValue(filter, name)
  const choice = (name: string, label: string, options: Readonly<Record<string, string>>): FilterField => ({
    kind: 'select',
    name,
    label,
    value: valueOf(name),
    options: [
      { value: '', label: 'All' },
      ...Object.entries(options).map(([value, text]) => ({ value, label: text })),
    ],
  })
  return [
    { kind: 'search', name: 'q', label: 'User', value: valueOf('q'), hint: 'As on the page People' },
    choice('kind', 'Right', { superuser: 'Superuser', staff: 'Staff', group: 'Local groups' }),
    { kind: 'text', name: 'group', label: 'Local group', value: valueOf('group'), maxLength: 300, hint: 'Whole name' },
    choice('reviewed', 'Reviewed', { false: 'Not yet', true: 'Reviewed' }),
    choice('verdict', 'Result', { confirmed: 'Still right', doubted: 'Not right any more' }),
    choice('active', 'Active', { true: 'Active', false: 'Inactive' }),
  ]
}

function empty(filter: LinkParameters, more: string | undefined): Html {
  if (more !== undefined) {
    return emptyState({
      title: 'None of the rights on this page fulfils all filters.',
      next: 'There are more: go to the next page.',
    })
  }
  if (filter['reviewed'] === false) {
    return emptyState({
      title: 'Every right of this list is reviewed.',
      next: html`<a href="${
        link(REVIEWS, { verdict: 'doubted' })
      }">Show what is not right any more</a>, to take it away.`,
    })
  }
  if (Object.values(filter).some((value) => value !== undefined)) {
    return emptyState({
      title: 'No right fulfils all of these filters.',
      next: html`<a href="${REVIEWS}">Show all rights</a>`,
    })
  }
  return emptyState({
    title: 'No user has a right yet.',
    next: html`A sign-in gives the rights that the <a href="/admin/mapping">mapping</a> grants.`,
  })
}
