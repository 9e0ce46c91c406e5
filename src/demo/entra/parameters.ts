// Query and form parameters, each at most once: Entra refuses a repeated one, and takes an empty one as missing.
import { AadstsError } from './aadsts.js'

export type Parameters = Record<string, string>

export function readParameters(source: unknown): Parameters {
  const parameters: Parameters = {}
  for (const [name, value] of Object.entries(source ?? {})) {
    if (Array.isArray(value)) throw new AadstsError(9000411, name)
    if (typeof value === 'string' && value !== '') parameters[name] = value
  }
  return parameters
}

export function required(parameters: Parameters, name: string): string {
  const value = parameters[name]
  if (value === undefined) throw new AadstsError(900144, name)
  return value
}
