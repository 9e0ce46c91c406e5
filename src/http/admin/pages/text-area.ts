// A field of a form with several lines.
import { html, type Html } from '../../pages/html.js'

export interface TextArea {
  readonly name: string
  readonly label: string
  readonly value: string | undefined
  readonly maxLength: number
  readonly rows: number
  readonly hint?: string
  readonly optional?: boolean
}

export function textArea({ name, label, value = '', maxLength, rows, hint, optional = false }: TextArea): Html {
  const id = `act-${name}`
  // A browser leaves out the line end that follows the tag.
  return html`<div class="field text"><label for="${id}">${label}</label><textarea id="${id}" name="${name}"
 rows="${rows}" maxlength="${maxLength}"${optional ? '' : html` required`}${
    hint === undefined ? '' : html` aria-describedby="${id}-hint"`
  } autocomplete="off" spellcheck="false">
${value}</textarea>${hint === undefined ? '' : html`<span class="hint" id="${id}-hint"><bdi>${hint}</bdi></span>`}</div>
`
}

/** Browsers send line ends as CR LF. */
export function linesOf(text: string): string {
  return text.replace(/\r\n?/g, '\n')
}
