// One scalar: variables replaced, type checked, then read by its kind.
import { isScalar } from 'yaml'
import { KINDS } from './kinds/index.js'
import { isRefusal, type Kind, type KindContext } from './kinds/kind.js'
import { nearest } from './nearest.js'
import type { ReadContext } from './read-context.js'
import { valueProblem, type ValueProblem } from './problem.js'
import { cleanSecret, isSecret } from './secret-text.js'
import type { Shape } from './schema-shape.js'
import { expand, isOneVariable, shownReferences } from './variables.js'

interface Scalar {
  value: unknown
  readonly shown: string
}

/** Undefined: refused, and reported. */
export function readLeaf(context: ReadContext, shape: Shape, node: unknown, path: string): unknown {
  const { report } = context
  const scalar = isScalar(node)
    ? scalarOf(context, shape, node.value, node.source, path)
    : { value: node, shown: 'a list or a map' }
  if (!scalar) return undefined
  if (isSecret(shape) && typeof scalar.value === 'string') {
    scalar.value = cleanSecret(report, path, subjectOf(node, path), scalar.value)
  }
  const reading = readPlain(context, shape, scalar)
  if (!isRefusal(reading)) return reading.value
  report.problem(path, reading.code, `${path} ${reading.message}.`, reading.remedy)
  return undefined
}

/** A secret, with the variable that it comes from. Defaults (`${NAME:-default}`) may be secrets and are not shown. */
function subjectOf(node: unknown, path: string): string {
  const [, variable] = /^\$\{(\w+)[^}]*\}$/.exec(isScalar(node) ? String(node.value) : '') ?? []
  return variable === undefined ? path : `${path}, from the environment variable ${variable},`
}

export type PlainReading = { readonly value: unknown } | ValueProblem

/** A value that is no YAML any more: what a variable, a secret's file or a default brought. */
export function readPlain(context: ReadContext, shape: Shape, { value, shown }: Scalar): PlainReading {
  if (shape.enum) return readChoice(shape.enum, value, shown)
  if (shape.type === 'boolean') {
    return typeof value === 'boolean'
      ? { value }
      : valueProblem('type_wrong', `must be true or false, but is ${shown}`, 'Write true or false, without quotes.')
  }
  if (shape.type === 'integer') return readInteger(shape, value, shown)
  const kind: Kind = KINDS[shape['x-kind'] ?? 'text']
  if (typeof value !== 'string') return notText(kind, value, kindContext(context, shape, shown))
  if (value === '') {
    return valueProblem('value_empty', 'is empty', 'Give it a value, or take the key away if it has a default.')
  }
  if (shape.maxLength !== undefined && value.length > shape.maxLength) {
    return valueProblem('value_long', `has more than ${shape.maxLength} characters`, 'Write something shorter.')
  }
  return kind.read(value, kindContext(context, shape, shown))
}

/** A number or a boolean where text belongs: quotes only help where the text would be right. */
function notText(kind: Kind, value: unknown, context: KindContext): ValueProblem {
  if (typeof value === 'object') {
    return valueProblem('type_wrong', `must be text, but is ${context.shown}`, 'Write a single value.')
  }
  const reading = kind.read(String(value), context)
  return isRefusal(reading)
    ? reading
    : valueProblem('type_wrong', `must be text, but is ${context.shown}`, 'Put quotes around it.')
}

function kindContext(context: ReadContext, shape: Shape, shown: string): KindContext {
  const { resolvePath, unreadable, unusableStep, unusableImage } = context
  return { shown, min: shape['x-min'], max: shape['x-max'], resolvePath, unreadable, unusableStep, unusableImage }
}

function readChoice(choices: readonly (string | boolean)[], value: unknown, shown: string): PlainReading {
  if (choices.some((choice) => choice === value)) return { value }
  const meant = typeof value === 'string' ? nearest(value, choices.map(String)) : undefined
  const all = choices.join(', ')
  return valueProblem(
    'value_unknown',
    `must be ${choices.length === 1 ? all : `one of ${all}`}, but is ${shown}`,
    meant === undefined ? 'Choose one of these, exactly so.' : `Did you mean ${meant}?`,
  )
}

function readInteger(shape: Shape, value: unknown, shown: string): PlainReading {
  const { minimum = -Infinity, maximum = Infinity, 'x-word': word } = shape
  if (word !== undefined && value === word) return { value }
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    const orWord = word === undefined ? '' : ` or ${word}`
    return valueProblem(
      'type_wrong',
      `must be a whole number${orWord}, but is ${shown}`,
      `Write digits alone, without quotes${word === undefined ? '' : `, or ${word}`}.`,
    )
  }
  return value >= minimum && value <= maximum
    ? { value }
    : valueProblem(
      'number_range',
      `must be between ${minimum} and ${maximum}, but is ${shown}`,
      'Choose a number within these bounds.',
    )
}

function scalarOf(
  context: ReadContext,
  shape: Shape,
  value: unknown,
  source: string | undefined,
  path: string,
): Scalar | undefined {
  const hidden = isSecret(shape)
  if (typeof value !== 'string') {
    return { value, shown: hidden ? 'something else' : String(source ?? value).slice(0, 60) }
  }
  const { text, expanded, refusals } = expand(value, context.env)
  if (expanded && context.refusesVariables) { // guard: policy-no-variables
    context.report.problem(
      path,
      'policy_variable',
      `${path} has a variable.`,
      'A policy in the database is the same on every machine: write the value.',
    )
    return undefined
  }
  for (const refusal of refusals) {
    context.report.problem(path, refusal.code, `${path} ${refusal.message}.`, refusal.remedy)
  }
  if (refusals.length > 0) return undefined
  const isText = shape.type !== 'boolean' && shape.type !== 'integer' && shape.enum === undefined
  if (expanded && isText && !hidden) context.report.wroteVariable(path, shownReferences(value))
  const shown = hidden ? 'something else' : shownText(value, expanded)
  return { value: isOneVariable(value) ? coerced(shape, text) : text, shown }
}

/** The value of a variable is never shown: it may be a secret in the wrong place. */
function shownText(value: string, expanded: boolean): string {
  const quoted = JSON.stringify(shorten(value))
  return expanded ? `what ${quoted} stands for` : quoted
}

function coerced(shape: Shape, text: string): unknown {
  const boolean = shape.type === 'boolean' || shape.enum?.includes(true)
  if (boolean && (text === 'true' || text === 'false')) return text === 'true'
  return shape.type === 'integer' && /^-?\d{1,15}$/.test(text) ? Number(text) : text
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
