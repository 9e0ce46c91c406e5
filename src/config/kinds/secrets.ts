// Secrets. Their text never appears in a message, whatever is wrong with it.
import { valueProblem, type ValueProblem } from '../problem.js'
import { easyToGuess } from './secret-strength.js'
import type { Kind } from './kind.js'

const MIN_LENGTH = 32
const PLACEHOLDER =
  /change[-_ ]?(me|this)|replace[-_ ]?(me|this|with)|placeholder|at least 32 characters|your[-_ ]?(client[-_ ]?)?secret/i

function placeholder(text: string): ValueProblem | undefined {
  return PLACEHOLDER.test(text)
    ? valueProblem(
      'secret_placeholder',
      'is still the text of an example',
      "Put your own secret there; openssl rand -base64 48 makes a good one for Gatehouse's own.",
    )
    : undefined
}

export const secret: Kind = {
  title: 'secret',
  read: (text) => placeholder(text) ?? { value: text },
}

export const strongSecret: Kind = {
  title: 'secret',
  read(text) {
    const refusal = placeholder(text)
    if (refusal) return refusal
    const remedy = 'Make one with: openssl rand -base64 48'
    if (text.length < MIN_LENGTH) {
      return valueProblem('secret_short', `has ${text.length} characters, but needs at least ${MIN_LENGTH}`, remedy)
    }
    const weakness = easyToGuess(text)
    // guard: adv-secret-weak
    return weakness === undefined
      ? { value: text }
      : valueProblem('secret_weak', `is easy to guess: it ${weakness}`, remedy)
  },
}
