// `check` and `doctor` load the custom steps as a start would. What a module prints goes to standard error.
import { customStepsLoad } from '../checks/custom-steps.js'
import type { Finding } from '../checks/finding.js'
import type { Config } from '../config/config.js'
import { createCustomSteps } from '../custom-steps/registry.js'
import { commandProcess } from './command-process.js'

export async function checkCustomSteps({ pipeline, customSteps }: Config): Promise<readonly Finding[]> {
  const steps = createCustomSteps({ log: { info: ({ line }) => commandProcess().stderr.write(`${line}\n`) } })
  try {
    return await customStepsLoad(pipeline, customSteps, (step) => steps.prepare([step]))()
  } finally {
    await steps.close()
  }
}
