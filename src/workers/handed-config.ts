// The configuration of a worker, as the primary process hands it over. A reload has two phases: the next configuration
// is prepared, then it is in force or dropped, as the primary process decides for all workers.
import type { Config } from '../config/config.js'
import type { CustomStepFile } from '../core/pipeline/custom-step.js'
import type { CustomSteps } from '../custom-steps/registry.js'
import { requireUsable } from '../derived-config.js'
import { configOf, sourceIn, type ConfigInForce } from './config-in-force.js'

export interface HandedConfig {
  current(): Config
  /** Of the configuration in force, or of the one that is being prepared. @throws GatehouseError `step_unusable` */
  sourceOf(file: CustomStepFile): string
  /** Whatever may fail of the next configuration. */
  prepare(next: ConfigInForce, steps: CustomSteps): Promise<void>
  commit(steps: CustomSteps): void
  abort(steps: CustomSteps): void
}

interface Handed {
  readonly given: ConfigInForce
  readonly config: Config
}

export function createHandedConfig(first: ConfigInForce): HandedConfig {
  let inForce: Handed = { given: first, config: configOf(first) }
  let prepared: Handed | undefined
  return {
    current: () => inForce.config,
    sourceOf(file) {
      const next = prepared?.given
      return sourceIn(next?.sources.has(file.sha256) ? next : inForce.given, file)
    },
    async prepare(given, steps) {
      const config = configOf(given)
      prepared = { given, config }
      requireUsable(config)
      await steps.prepare(config.customSteps)
    },
    commit(steps) {
      inForce = prepared ?? inForce
      prepared = undefined
      steps.keep(inForce.config.customSteps)
    },
    abort(steps) {
      prepared = undefined
      steps.keep(inForce.config.customSteps)
    },
  }
}
