// The audit: a replica seals it each minute in which there is something to seal, and exports it where that is
// configured.
import { deliveredText, exportProblems, isCatchingUp, pendingText, type ExportState } from '../core/audit-export.js'
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

export function auditExported(read: () => Promise<ExportState>): Check {
  return async () => {
    try {
      const state = await read()
      const problems = exportProblems(state)
      if (problems.length > 0) return problems.map((problem) => ({ state: 'warn', ...problem }))
      const is = isCatchingUp(state) ? 'the export of the audit is catching up' : 'the audit is exported'
      const message = `${is}: ${deliveredText(state)}, ${pendingText(state)}`
      return [{ state: 'ok', code: 'audit_export', message }]
    } catch (error) {
      return [failure(error, 'skipped', 'whether the audit is exported was not checked: ')]
    }
  }
}
