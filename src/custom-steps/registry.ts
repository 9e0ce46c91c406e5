// The custom steps that are loaded: one process each, replaced when the file changes or the process ends.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { GatehouseError } from '../core/errors.js'
import { customStep, type CustomStepFile } from '../core/pipeline/custom-step.js'
import type { NamedStep } from '../core/pipeline/pipeline.js'
import { startStepWorker, type StepWorker } from './worker.js'

export interface CustomSteps {
  /** Loads the files that are not loaded yet; the others go on. @throws GatehouseError `step_unusable` */
  prepare(files: readonly CustomStepFile[]): Promise<void>
  /** These files are in force: the others are retired. */
  keep(files: readonly CustomStepFile[]): void
  /** @throws GatehouseError (when it runs) `step_unusable`, `step_failed`, `step_refused` */
  step(file: CustomStepFile): NamedStep
  close(): Promise<void>
}

export interface CustomStepsOptions {
  readonly log: { info(facts: { readonly step: string, readonly line: string }, message: string): void }
  readonly timeoutMs?: number
  /** In place of the file: its text, as the configuration checked it. @throws GatehouseError `step_unusable` */
  readonly sourceOf?: (file: CustomStepFile) => Promise<string>
}

const TIMEOUT_MS = 5_000

export function createCustomSteps(
  { log, timeoutMs = TIMEOUT_MS, sourceOf = stepSource }: CustomStepsOptions,
): CustomSteps {
  const loaded = new Map<string, { readonly source: string, worker: StepWorker }>()
  const start = (name: string, source: string): StepWorker =>
    startStepWorker({
      name,
      source,
      timeoutMs,
      printed: (line) => log.info({ step: name, line }, 'a custom step printed a line'),
    })
  const workerOf = async (file: CustomStepFile): Promise<StepWorker> => {
    const key = keyOf(file)
    const known = loaded.get(key)
    if (known?.worker.usable()) return known.worker
    const source = known?.source ?? await sourceOf(file)
    const worker = loaded.get(key)?.worker // another login may have started it meanwhile
    if (worker?.usable()) return worker
    const started = start(file.name, source)
    loaded.set(key, { source, worker: started })
    started.ready.catch(() => {
      if (loaded.get(key)?.worker === started) loaded.delete(key)
    })
    return started
  }
  const ready = async (file: CustomStepFile): Promise<StepWorker> => {
    const worker = await workerOf(file)
    await worker.ready
    return worker
  }
  return {
    async prepare(files) {
      await Promise.all(files.map(ready))
    },
    keep(files) {
      const named = new Set(files.map(keyOf))
      for (const [key, { worker }] of loaded) {
        if (named.has(key)) continue
        loaded.delete(key)
        worker.retire()
      }
    },
    step: (file) => ({ name: file.name, run: customStep(file.name, async (input) => (await ready(file)).call(input)) }),
    async close() {
      await Promise.all([...loaded.values()].map(({ worker }) => worker.close()))
      loaded.clear()
    },
  }
}

function keyOf({ name, sha256 }: CustomStepFile): string {
  return `${sha256} ${name}`
}

/** The text that the configuration checked. @throws GatehouseError `step_unusable` if the file has changed since */
export async function stepSource({ name, path, sha256 }: CustomStepFile): Promise<string> {
  const source = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new GatehouseError('step_unusable', {
      cause,
      detail: `${name}: ${path} cannot be read`,
      facts: { step: name },
    })
  })
  const text = source.startsWith('\uFEFF') ? source.slice(1) : source
  if (createHash('sha256').update(text).digest('hex') !== sha256) {
    throw new GatehouseError('step_unusable', {
      detail: `${name}: ${path} changed while it was being loaded`,
      remedy: 'It is read again as soon as the change is detected.',
      facts: { step: name },
    })
  }
  return text
}
