// Steps of the operator's own are loaded, as a start would load them.
import type { OwnStep } from '../config/config.js'
import { failure, type Check, type Finding } from './finding.js'

/** @param load the module; it throws `step_unusable` */
export function ownStepsLoad(
  pipeline: readonly string[],
  ownSteps: readonly OwnStep[],
  load: (step: OwnStep) => Promise<void>,
): Check {
  return async () => {
    const findings: Finding[] = []
    for (const step of ownSteps) {
      const path = `pipeline[${pipeline.indexOf(step.name)}]`
      try {
        await load(step)
        findings.push({ state: 'ok', code: 'step_loads', says: `${step.name} can be loaded`, path })
      } catch (error) {
        findings.push({ ...failure(error, 'fail', `${path} `), path })
      }
    }
    return findings
  }
}
