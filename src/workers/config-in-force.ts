// The configuration in force as the primary process hands it to a worker, with the contents of the files that it
// names. A worker reads neither the configuration nor these files: one that comes back after a refused reload runs
// what the others run.
import { GatehouseError } from '../core/errors.js'
import type { Config } from '../config/config.js'
import { withBytes, withContent, type ImageBytes } from '../config/images.js'
import type { CustomStepFile } from '../core/pipeline/custom-step.js'

export interface ConfigInForce {
  readonly config: Omit<Config, 'images'>
  readonly images: readonly ImageBytes[]
  /** The text of each custom step, by its SHA-256. */
  readonly sources: ReadonlyMap<string, string>
}

/**
 * @param sourceOf the text of a custom step, as the configuration checked it
 * @throws GatehouseError `step_unusable` where a step's file has changed meanwhile
 */
export async function handedOver(
  { images, ...config }: Config,
  sourceOf: (file: CustomStepFile) => Promise<string>,
): Promise<ConfigInForce> {
  const sources = await Promise.all(
    config.customSteps.map(async (file) => [file.sha256, await sourceOf(file)] as const),
  )
  return {
    config,
    images: images.map(withBytes),
    sources: new Map(sources),
  }
}

export function configOf({ config, images }: ConfigInForce): Config {
  return { ...config, images: images.map(withContent) }
}

/** @throws GatehouseError `step_unusable` */
export function sourceIn({ sources }: ConfigInForce, { name, sha256 }: CustomStepFile): string {
  const source = sources.get(sha256)
  if (source !== undefined) return source
  throw new GatehouseError('step_unusable', {
    detail: `${name} was not handed over with the configuration`,
    facts: { step: name },
  })
}
