// Loads the custom steps, as a start would load them.
import type { CustomStepFile } from '../core/pipeline/custom-step.js'
import { failure, type Check, type Finding } from './finding.js'

/** @param load the module; it throws `step_unusable` */
export function customStepsLoad(
  pipeline: readonly string[],
  customSteps: readonly CustomStepFile[],
  load: (step: CustomStepFile) => Promise<void>,
): Check {
  return async () => {
    const findings: Finding[] = []
    for (const step of customSteps) {
      const path = pathOf(step, pipeline, customSteps)
      try {
        await load(step)
        findings.push({ state: 'ok', code: 'step_loads', message: `${step.name} can be loaded`, path })
      } catch (error) {
        findings.push({ ...failure(error, 'fail', `${path} `), path })
      }
    }
    return findings
  }
}

/** Where the policy is in the database, the file lists the steps apart from the pipeline. */
function pathOf({ name }: CustomStepFile, pipeline: readonly string[], customSteps: readonly CustomStepFile[]): string {
  const index = pipeline.indexOf(name)
  return index === -1 ? `ownSteps[${customSteps.findIndex((step) => step.name === name)}].file` : `pipeline[${index}]`
}
