// A list in the order of the configuration, by pages of positions: its query, filters and pager. The mapping and the
// access rules are shown so.
import { Type, type Static } from 'typebox'
import { html, type Html } from '../../pages/html.js'
import { filterForm, type FilterFormOptions } from './filter-form.js'
import { pager, results } from './table.js'

/** @param filters what `only` may be */
export function positionQuery<Filter extends string>(filters: readonly Filter[]) {
  return Type.Object({
    q: Type.Optional(Type.String({ maxLength: 200 })),
    only: Type.Optional(Type.Union(filters.map((filter) => Type.Literal(filter)))),
    after: Type.Optional(Type.Integer({ minimum: 0 })),
  })
}

export type PositionQuery = Static<ReturnType<typeof positionQuery>>

export interface PositionFilters extends Pick<FilterFormOptions, 'path' | 'label'> {
  readonly query: PositionQuery
  /** What the search looks at. */
  readonly search: string
  /** The first one is for all. */
  readonly options: readonly { readonly value: string, readonly label: string }[]
}

export function positionFilters({ path, label, query: { q, only }, search, options }: PositionFilters): Html {
  return filterForm({
    path,
    label,
    fields: [
      { kind: 'search', name: 'q', label: search, value: q },
      { kind: 'select', name: 'only', label: 'Show', value: only, options },
    ],
  })
}

export interface PositionPage {
  readonly path: string
  readonly query: PositionQuery
  /** Position after which the next page begins; undefined: this is the last one. */
  readonly next: number | undefined
}

/** What a filter replaces: the table and its pager. */
export function positionResults(table: Html, { path, query, next }: PositionPage): Html {
  return results(html`${table}${pager({ path, query, next: next === undefined ? undefined : String(next) })}`)
}
