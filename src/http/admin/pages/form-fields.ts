// The fields of forms that change something: a label, a control, and a hint below it.
import { html, type Html, type Value } from '../../pages/html.js'

export interface FormField {
  readonly name: string
  readonly label: string
  readonly kind?: 'text' | 'number'
  readonly hint?: Value
  /** @param attributes the first ones of the control: id, name, and what describes it */
  readonly control: (attributes: Html) => Html
}

export function formField({ name, label, kind = 'text', hint, control }: FormField): Html {
  const id = `act-${name}`
  const described = hint === undefined ? '' : html` aria-describedby="${id}-hint"`
  return html`<div class="field ${kind}"><label for="${id}">${label}</label>${
    control(html` id="${id}" name="${name}"${described}`)
  }${hint === undefined ? '' : html`<span class="hint" id="${id}-hint"><bdi>${hint}</bdi></span>`}</div>
`
}

interface Text {
  readonly name: string
  readonly label: string
  readonly value: string | undefined
  readonly maxLength: number
  readonly hint?: string
  readonly optional?: boolean
}

export function textField({ value, maxLength, optional = false, ...field }: Text): Html {
  return formField({
    ...field,
    control: (attributes) =>
      html`<input${attributes} type="text" value="${value}" maxlength="${maxLength}"${
        optional ? '' : html` required`
      } autocomplete="off" spellcheck="false">`,
  })
}

interface Area extends Text {
  readonly rows: number
  /** In a fixed width, as wide as the page. */
  readonly isCode?: boolean
}

/** With several lines. */
export function textArea({ value = '', maxLength, optional = false, rows, isCode = false, ...field }: Area): Html {
  return formField({
    ...field,
    // A browser leaves out the line end that follows the tag.
    control: (attributes) =>
      html`<textarea${attributes} rows="${rows}" maxlength="${maxLength}"${optional ? '' : html` required`}${
        isCode ? html` class="code"` : ''
      } autocomplete="off" spellcheck="false">
${value}</textarea>`,
  })
}

/** Browsers send line ends as CR LF. */
export function linesOf(text: string): string {
  return text.replace(/\r\n?/g, '\n')
}
