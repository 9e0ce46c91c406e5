// `check` and `doctor` load the custom steps as a start would. What a module prints goes to the caller's log.
import { customStepsLoad } from './checks/custom-steps.js'
import type { Finding } from './checks/finding.js'
import type { Config } from './config/config.js'
import { createCustomSteps } from './custom-steps/registry.js'

/** @param log what a module prints */
export async function checkCustomSteps(
  { pipeline, customSteps }: Config,
  log: (line: string) => void,
): Promise<readonly Finding[]> {
  const steps = createCustomSteps({ log: { info: ({ line }) => log(line) } })
  try {
    return await customStepsLoad(pipeline, customSteps, (step) => steps.prepare([step]))()
  } finally {
    await steps.close()
  }
}
