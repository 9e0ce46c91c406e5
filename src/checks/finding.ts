// The result of a check beyond the configuration file: for `check`, which adds the position in the file, and for
// `doctor`, which prints all of them.
import type { DiagnosisResult } from '../core/diagnosis.js'
import { FAILURES, GatehouseError } from '../core/errors.js'

/** The check that found it adds its name. */
export type Finding = Omit<DiagnosisResult, 'check'>

/** A check that cannot be carried out is a finding too. */
export type Check = () => Promise<readonly Finding[]>

/** An error as a finding: the other checks continue. */
export function failure(error: unknown, state: 'warn' | 'fail' | 'skipped', prefix = ''): Finding {
  if (!(error instanceof GatehouseError)) {
    const message = `${prefix}${error instanceof Error ? error.message : String(error)}`
    return { state, code: 'internal', message, remedy: 'This should not happen: please report it.' }
  }
  const { code, remedy, facts: { reason } } = error
  return {
    state,
    code,
    ...(typeof reason === 'string' ? { reason } : {}),
    message: `${prefix}${error.message}`,
    ...(remedy === undefined ? {} : { remedy }),
  }
}

/** A check that was skipped because an earlier one failed for the same cause. */
export function notChecked(because: string, what?: string): Finding {
  return {
    state: 'skipped',
    code: NOT_LOOKED_AT,
    message: `${what === undefined ? '' : `${what}: `}not checked because of ${because}`,
  }
}

export const NOT_LOOKED_AT = 'not_looked_at'

/** The check itself failed, in place of its subject. */
export function isUnanswered({ code }: Finding): boolean {
  return Object.hasOwn(FAILURES, code)
}
