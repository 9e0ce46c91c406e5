// Steps of the operator's own are loaded, as a start would load them.
import type { OwnStep } from '../config/config.js'
import { GatehouseError } from '../core/errors.js'
import type { Check, Finding } from './finding.js'

/** @param load the module; it throws `step_unusable` */
export function ownStepsLoad(pipeline: readonly string[], ownSteps: readonly OwnStep[], load: (step: OwnStep) => Promise<void>): Check {
  return async () => {
    const findings: Finding[] = []
    for (const step of ownSteps) {
      const path = `pipeline[${pipeline.indexOf(step.name)}]`
      try {
        await load(step)
        findings.push({ state: 'ok', code: 'step_loads', says: `${step.name} can be loaded`, path })
      } catch (error) {
        if (!(error instanceof GatehouseError)) throw error
        findings.push({ state: 'fail', code: error.code, says: `${path} ${error.message}.`, remedy: error.remedy ?? 'See docs/custom-steps.md.', path })
      }
    }
    return findings
  }
}
