// The filters of a list: a form that works without JavaScript, and that submits itself (script.ts).
import { html, type Html } from '../../pages/html.js'
import type { LinkParameters } from './links.js'

interface FieldBase {
  readonly name: string
  readonly label: string
  /** Value in force; undefined: none. */
  readonly value: string | number | undefined
  /** One line below the field. */
  readonly hint?: string
}

export type FilterField =
  | FieldBase & { readonly kind: 'search' | 'text' | 'date' | 'time', readonly maxLength?: number }
  | FieldBase & { readonly kind: 'number', readonly min?: number, readonly max?: number }
  | FieldBase & {
    readonly kind: 'select'
    /** The first is usually `{ value: '', label: 'Anyone' }`. */
    readonly options: readonly { readonly value: string, readonly label: string }[]
  }

/** Of a parameter of the list, for a field. */
export function filterValue(filter: LinkParameters, name: string): string | undefined {
  const value = filter[name]
  return value === undefined || value === null ? undefined : String(value)
}

export interface FilterFormOptions {
  /** Address of the list; its `results()` are replaced. */
  readonly path: string
  /** What is filtered, for screen readers: "Filter people". */
  readonly label: string
  readonly fields: readonly FilterField[]
  /** Parameters that the form keeps, for example the range of a chart. */
  readonly kept?: Readonly<Record<string, string | undefined>>
  readonly submit?: string
}

export function filterForm({ path, label, fields, kept = {}, submit = 'Apply' }: FilterFormOptions): Html {
  const isFiltered = fields.some(({ value }) => value !== undefined && value !== '')
  const hidden = Object.entries(kept).flatMap(([name, value]) =>
    value === undefined ? [] : [html`<input type="hidden" name="${name}" value="${value}">`]
  )
  return html`<form class="filters" role="search" aria-label="${label}" method="get" action="${path}" hx-get="${path}"
 hx-target="#results" hx-select="#results" hx-swap="outerHTML" hx-push-url="true" hx-sync="this:replace">
${hidden}${fields.map(field)}
<div class="submit"><button class="button">${submit}</button>${
    isFiltered ? html`<a class="clear" href="${path}">${submit === 'Apply' ? 'Clear filters' : 'Clear'}</a>` : ''
  }</div>
</form>`
}

function field(each: FilterField): Html {
  const id = `filter-${each.name}`
  const hint = each.hint === undefined ? '' : html`<span class="hint" id="${id}-hint">${each.hint}</span>`
  return html`<div class="field ${each.kind}"><label for="${id}">${each.label}</label>${control(each, id)}${hint}</div>
`
}

function control(each: FilterField, id: string): Html {
  const described = each.hint === undefined ? '' : html` aria-describedby="${id}-hint"`
  if (each.kind === 'select') {
    const value = String(each.value ?? '')
    return html`<select id="${id}" name="${each.name}"${described}>${
      each.options.map((option) =>
        html`<option value="${option.value}"${option.value === value ? html` selected` : ''}>${option.label}</option>`
      )
    }</select>`
  }
  return html`<input id="${id}" name="${each.name}" type="${inputType(each.kind)}" value="${each.value}"${
    limitsOf(each)
  }${described} autocomplete="off" spellcheck="false">`
}

/** Times are text in UTC: a browser's own field would show local time. */
function inputType(kind: Exclude<FilterField['kind'], 'select'>): string {
  return kind === 'time' ? 'text' : kind
}

function limitsOf(each: Exclude<FilterField, { kind: 'select' }>): Html {
  if (each.kind === 'date') return html``
  if (each.kind !== 'number') return html` maxlength="${each.maxLength ?? 200}"`
  return html`${each.min === undefined ? '' : html` min="${each.min}"`}${
    each.max === undefined ? '' : html` max="${each.max}"`
  }`
}
