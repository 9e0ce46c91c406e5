// HTML as a tagged template: every value is escaped unless it is Html. No page contains a script.

export interface Html {
  readonly html: string
}
/** What a template takes; text is escaped. */
export type Value = Html | string | number | boolean | null | undefined | readonly Value[]

export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  return { html: parts.reduce((text, part, index) => text + render(values[index - 1]) + part) }
}

function render(value: Value): string {
  if (value === undefined || value === null || value === false || value === true) return ''
  if (Array.isArray(value)) return (value as readonly Value[]).map(render).join('')
  if (typeof value === 'object') return (value as Html).html
  return escape(String(value)) // guard: adv-escaped
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}
