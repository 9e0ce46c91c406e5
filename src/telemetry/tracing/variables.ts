// Parses the values of OpenTelemetry's variables; an invalid value counts as not set, as the specification requires.
import type { Environment } from '../../core/environment.js'

export type ReadFile = (path: string) => string
export type ReportProblem = (variable: string, remedy: string) => void

export function parsedNumber(
  env: Environment,
  variable: string,
  { min, max, otherwise }: { readonly min: number, readonly max: number, readonly otherwise: number },
  report: ReportProblem,
): number {
  const text = env[variable]
  if (text === undefined) return otherwise
  const number = Number(text)
  if (number >= min && number <= max) return number
  report(variable, `Write a number from ${min} to ${max}.`)
  return otherwise
}

export function oneOf<T extends string>(
  env: Environment,
  variable: string,
  words: readonly T[],
  report: ReportProblem,
): T | undefined {
  const text = env[variable]?.trim().toLowerCase()
  const found = words.find((word) => word === text)
  if (text !== undefined && found === undefined) report(variable, `Write one of ${words.join(', ')}.`)
  return found
}

/** `key=value,key=value`, percent-encoded; all or nothing. */
export function keyValues(env: Environment, variable: string, report: ReportProblem): Record<string, string> {
  const pairs = (env[variable] ?? '').split(',').filter((pair) => pair.trim() !== '')
  try {
    return Object.fromEntries(pairs.map((pair) => {
      const equals = pair.indexOf('=')
      const key = decodeURIComponent(pair.slice(0, Math.max(equals, 0)).trim())
      if (key === '') throw new Error('no key')
      return [key, decodeURIComponent(pair.slice(equals + 1).trim())]
    }))
  } catch {
    report(variable, 'Write key=value pairs with commas between them, and other characters percent-encoded.')
    return {}
  }
}
