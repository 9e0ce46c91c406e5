// What the check finds in a draft, and the way to the row or rule that a finding is about.
import type { DraftFinding } from '../../../core/policy-draft.js'
import { html, type Html } from '../../pages/html.js'
import { idText, nameText } from './components.js'
import { shortened } from './shortened.js'

/** A message may name every rule that it is about. */
const LONGEST = 400

export function findingText({ message, remedy, code }: DraftFinding, longest = LONGEST): Html {
  if (message === null) return html`<span class="soft">${code}: the message may contain the value of a variable.</span>`
  return html`${nameText(shortened(message, longest))}${
    remedy === null ? '' : html` <span class="soft">${nameText(shortened(remedy, longest))}</span>`
  }`
}

/** @param at address of the draft */
export function findingKey({ path }: DraftFinding, at: string): Html | string {
  if (path === '') return 'the text'
  const [, list, index] = /^(groupMapping|access\.rules)\[(\d+)\]/.exec(path) ?? []
  const key = idText(shortened(path))
  if (list === undefined) return key
  return html`<a href="${at}/${list === 'groupMapping' ? 'rows' : 'rules'}/${Number(index) + 1}">${key}</a>`
}
