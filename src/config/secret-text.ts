// Secrets arrive damaged: with the quotation marks of a file of variables, with blanks, with the line break that a
// command appended. White space around a secret is left out, wherever it comes from; everything found is warned of.
import { valueProblem, type ValueProblem } from './problem.js'
import type { Report } from './report.js'
import type { Shape } from './schema-shape.js'

const AROUND = /^[\s\u200B-\u200D\u2060]+|[\s\u200B-\u200D\u2060]+$/g
const QUOTES = /^["'`\u2018\u2019\u201C\u201D\u00AB\u00BB]|["'`\u2018\u2019\u201C\u201D\u00AB\u00BB]$/
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u00A0]/u

const ODDITIES = {
  blank: valueProblem(
    'secret_blank',
    'has white space around it, which is left out',
    'Take the blanks and line breaks away where the secret is set.',
  ),
  quoted: valueProblem(
    'secret_quoted',
    'begins or ends with a quotation mark, which counts as a part of it',
    'Files of variables (docker --env-file, Kubernetes) keep quotation marks: take them away, ' +
      'unless they belong to it.',
  ),
  escaped: valueProblem(
    'secret_escaped',
    'ends with a backslash and a letter, as a line break is written in some programs',
    'Take the two characters away, unless they belong to the secret.',
  ),
  invisible: valueProblem(
    'secret_invisible',
    'contains a line break, a control character or another invisible character',
    'Copy the secret again, as one line of visible characters.',
  ),
} as const satisfies Record<string, ValueProblem>

export function isSecret(shape: Shape): boolean {
  return shape['x-kind'] === 'secret' || shape['x-kind'] === 'strongSecret' || shape['x-kind'] === 'databaseUrl'
}

/** The secret without the white space around it, and what is odd about it. Nothing of it is in the messages. */
export function readSecretText(value: string): { readonly text: string, readonly oddities: readonly ValueProblem[] } {
  const text = value.replace(AROUND, '') // guard: adv-secret-blanks
  const oddities: ValueProblem[] = []
  if (text === '') return { text, oddities }
  if (text !== value) oddities.push(ODDITIES.blank)
  if (QUOTES.test(text)) oddities.push(ODDITIES.quoted) // guard: adv-secret-quotes
  if (/\\[nrt]$/.test(text)) oddities.push(ODDITIES.escaped)
  if (INVISIBLE.test(text)) oddities.push(ODDITIES.invisible)
  return { text, oddities }
}

/** @param subject what a message calls it, with the place it comes from @returns the text to go on with */
export function cleanSecret(report: Report, path: string, subject: string, value: string): string {
  const { text, oddities } = readSecretText(value)
  for (const { code, message, remedy } of oddities) report.warn(path, code, `${subject} ${message}.`, remedy)
  return text
}
