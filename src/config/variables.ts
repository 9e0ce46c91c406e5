// `${VAR}` and `${VAR:-default}` in scalar values, after the YAML is parsed: what a variable holds is text and can
// never become structure. `$${` stands for a literal `${`.
import type { Environment } from '../core/environment.js'
import { valueProblem, type ValueProblem } from './problem.js'

export type Expansion = {
  readonly text: string
  readonly expanded: boolean
  readonly refusals: readonly ValueProblem[]
}

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g
const PARTS = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s

export function expand(source: string, env: Environment): Expansion {
  const refusals: ValueProblem[] = []
  let expanded = false
  const text = source.replace(REFERENCE, (whole: string, inside: string | undefined, end: string | undefined) => {
    if (whole === '$${') return '${'
    expanded = true
    const value = end === '}' ? valueOf(inside ?? '', env) : malformed(whole)
    if (typeof value === 'string') return value
    refusals.push(value)
    return ''
  })
  return { text, expanded, refusals }
}

/** The same text with each reference as `${NAME}`, without its default, which may be a secret too. */
export function withoutDefaults(source: string): string {
  return source.replace(REFERENCE, (whole: string, inside: string | undefined, end: string | undefined) => {
    const name = end === '}' ? PARTS.exec(inside ?? '')?.[1] : undefined
    return name === undefined ? whole : `\${${name}}` // guard: policy-no-defaults
  })
}

/** A value as people are shown it: without defaults, and with `${` for `$${`. */
export function shownReferences(value: string): string {
  return withoutDefaults(value).replaceAll('$${', '${')
}

/** A value that is nothing but one variable may stand for a number or a boolean. */
export function isOneVariable(source: string): boolean {
  return /^\$\{[^}]*\}$/.test(source)
}

/** As in shells: set but empty counts as set for `${VAR}`, and takes the default of `${VAR:-default}`. */
function valueOf(inside: string, env: Environment): string | ValueProblem {
  const [, name, fallback] = PARTS.exec(inside) ?? []
  if (name === undefined || fallback?.includes('${')) return malformed(`\${${inside}}`)
  const value = Object.hasOwn(env, name) ? env[name] : undefined
  if (fallback !== undefined) return value === undefined || value === '' ? fallback : value
  return value ??
    valueProblem(
      'env_unset',
      `uses \${${name}}, but the environment variable ${name} is not set`,
      `Set ${name}, or write \${${name}:-default}.`,
    )
}

function malformed(reference: string): ValueProblem {
  return valueProblem(
    'env_malformed',
    `has ${JSON.stringify(reference)}, which is no reference to a variable`,
    // eslint-disable-next-line no-template-curly-in-string -- what the operator writes
    'Write ${NAME} or ${NAME:-default}, not nested; $${ stands for a literal ${.',
  )
}
