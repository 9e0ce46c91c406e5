// Lists: a table that scrolls inside its own container, and the links to its next page.
import { html, type Html, type Value } from '../../pages/html.js'
import { link, type LinkParameters } from './links.js'

export interface Column<Row> {
  readonly heading: string
  readonly cell: (row: Row) => Value
  /**
   * Numbers are aligned to the right, times and codes do not wrap, names have the width of an e-mail address, and text
   * has a width in which it is not many lines.
   */
  readonly kind?: 'number' | 'time' | 'code' | 'name' | 'text'
}

export interface TableOptions<Row> {
  /** What the table lists; it names the table for screen readers. */
  readonly caption: string
  /** The caption is shown above the table; otherwise only screen readers read it. */
  readonly captionShown?: boolean
  /** The first column names the row. */
  readonly columns: readonly Column<Row>[]
  readonly rows: readonly Row[]
  /** Instead of a table without rows: emptyState(). */
  readonly empty: Html
}

export function dataTable<Row>({ caption, captionShown = false, columns, rows, empty }: TableOptions<Row>): Html {
  if (rows.length === 0) return empty
  const head = columns.map(({ heading, kind }) => html`<th scope="col"${classOf(kind)}>${heading}</th>`)
  const body = rows.map((row) =>
    html`<tr>${
      columns.map(({ cell, kind }, index) =>
        index === 0
          ? html`<th scope="row"${classOf(kind)}>${cell(row)}</th>`
          : html`<td${classOf(kind)}>${cell(row)}</td>`
      )
    }</tr>
`
  )
  return html`<div class="scroll" role="group" tabindex="0" aria-label="${caption}"><table>
<caption${captionShown ? '' : html` class="unseen"`}>${caption}</caption>
<thead><tr>${head}</tr></thead>
<tbody>
${body}</tbody></table></div>`
}

function classOf(kind: Column<never>['kind']): Html | string {
  return kind === undefined ? '' : html` class="${kind}"`
}

/** The part of a page that a filter changes: a table and its pager. */
export function results(content: Value): Html {
  return html`<div id="results">${content}</div>`
}

/**
 * @param query parameters of this page; the links carry all of them
 * @param next where the next page begins (`after`); null or undefined: this is the last page
 */
export function pager(
  { path, query, next }: { path: string, query: LinkParameters, next: string | null | undefined },
): Html {
  const isFirst = query.after === undefined || query.after === ''
  const hasNext = next !== null && next !== undefined
  if (isFirst && !hasNext) return html``
  const first = isFirst ? '' : html`<a href="${link(path, { ...query, after: undefined })}">First page</a>`
  const following = hasNext
    ? html`<a rel="next" href="${link(path, { ...query, after: next })}">Next page</a>`
    : html`<span class="soft">This is the last page.</span>`
  return html`<nav class="pager" aria-label="Pages of this list">${first}${following}</nav>`
}
