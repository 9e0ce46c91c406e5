// The seals of the audit: a replica makes one each minute in which there is something to seal.
import { isSealOverdue, overdueMinutes, sealText, type SealState } from '../core/audit-seals.js'
import { failure, type Check } from './finding.js'

const REMEDY = 'While a gateway runs, its log says why ("the audit could not be sealed"). Until then nothing shows a ' +
  'change of these rows.'

export function auditSealed(read: () => Promise<SealState>): Check {
  return async () => {
    try {
      const state = await read()
      if (!isSealOverdue(state)) return [{ state: 'ok', code: 'audit_sealed', message: sealText(state) }]
      return [{
        state: 'warn',
        code: 'audit_unsealed',
        message: `rows of the audit have not been sealed for ${overdueMinutes(state)} minutes; ${sealText(state)}`,
        remedy: REMEDY,
      }]
    } catch (error) {
      return [failure(error, 'skipped', 'whether the audit is sealed was not checked: ')]
    }
  }
}
