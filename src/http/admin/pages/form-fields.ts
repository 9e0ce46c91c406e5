// The fields of forms that change something: a label, a control, and a hint below it.
import { html, type Html, type Value } from '../../pages/html.js'

export interface FormField {
  readonly name: string
  readonly label: string
  readonly kind?: 'text' | 'number'
  readonly hint?: Value
  /** What is wrong with what was entered. */
  readonly problem?: Value
  /** @param attributes the first ones of the control: id, name, and what describes it */
  readonly control: (attributes: Html) => Html
}

export function formField({ name, label, kind = 'text', hint, problem, control }: FormField): Html {
  const id = `act-${name}`
  const notes = [...problem === undefined ? [] : [`${id}-problem`], ...hint === undefined ? [] : [`${id}-hint`]]
  const described = notes.length === 0 ? '' : html` aria-describedby="${notes.join(' ')}"`
  const wrong = problem === undefined ? '' : html` aria-invalid="true"`
  return html`<div class="field ${kind}"><label for="${id}">${label}</label>${
    control(html` id="${id}" name="${name}"${described}${wrong}`)
  }${problem === undefined ? '' : html`<span class="problem" id="${id}-problem"><bdi>${problem}</bdi></span>`}${
    hint === undefined ? '' : html`<span class="hint" id="${id}-hint"><bdi>${hint}</bdi></span>`
  }</div>
`
}

interface Text {
  readonly name: string
  readonly label: string
  readonly value: string | undefined
  readonly maxLength: number
  readonly hint?: Value
  readonly problem?: Value
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

/** Of a field with one value a line. */
export function lineList(text = ''): readonly string[] {
  return linesOf(text).split('\n').filter((line) => line !== '')
}

/** Browsers send line ends as CR LF. */
export function linesOf(text: string): string {
  return text.replace(/\r\n?/g, '\n')
}

interface Choice {
  readonly name: string
  readonly label: Value
  readonly isChosen: boolean
  readonly problem?: Value
}

/** What an unticked one sends is nothing. */
export const CHOSEN = 'yes'

export function checkbox({ name, label, isChosen, problem }: Choice): Html {
  const id = `act-${name}`
  const wrong = problem === undefined ? '' : html` aria-invalid="true" aria-describedby="${id}-problem"`
  return html`<label class="choice"><input type="checkbox" id="${id}" name="${name}" value="${CHOSEN}"${
    isChosen ? html` checked` : ''
  }${wrong}><span>${label}</span></label>${
    problem === undefined ? '' : html`<span class="problem" id="${id}-problem"><bdi>${problem}</bdi></span>`
  }
`
}

/** What a form sends without showing it; undefined: nothing. */
export function hidden(name: string, value: string | number | undefined): Html | string {
  return value === undefined ? '' : html`<input type="hidden" name="${name}" value="${value}">`
}
