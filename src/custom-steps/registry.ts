// The custom steps that are loaded: one process each, replaced when the file changes or the process ends.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { GatehouseError } from '../core/errors.js'
import { customStep, type CustomStepFile } from '../core/pipeline/custom-step.js'
import type { NamedStep } from '../core/pipeline/pipeline.js'
import { startRunner, type Runner } from './worker.js'

export interface CustomSteps {
  /**
   * Loads what is not loaded yet; when all of it is, lets go of what is no longer named. @throws GatehouseError
   * `step_unusable`
   */
  prepare(files: readonly CustomStepFile[]): Promise<void>
  /** @throws GatehouseError (when it runs) `step_unusable`, `step_failed`, `step_refused` */
  step(file: CustomStepFile): NamedStep
  close(): Promise<void>
}

export interface CustomStepsOptions {
  readonly log: { info(facts: { readonly step: string, readonly line: string }, message: string): void }
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 5_000

export function createCustomSteps({ log, timeoutMs = TIMEOUT_MS }: CustomStepsOptions): CustomSteps {
  const loaded = new Map<string, { readonly source: string, runner: Runner }>()
  const start = (name: string, source: string): Runner =>
    startRunner({
      name,
      source,
      timeoutMs,
      printed: (line) => log.info({ step: name, line }, 'a custom step printed a line'),
    })
  const runnerOf = async (file: CustomStepFile): Promise<Runner> => {
    const key = keyOf(file)
    const known = loaded.get(key)
    if (known?.runner.usable()) return known.runner
    const source = known?.source ?? await sourceOf(file)
    const runner = loaded.get(key)?.runner // another login may have been quicker
    if (runner?.usable()) return runner
    const started = start(file.name, source)
    loaded.set(key, { source, runner: started })
    started.ready.catch(() => {
      if (loaded.get(key)?.runner === started) loaded.delete(key)
    })
    return started
  }
  const ready = async (file: CustomStepFile): Promise<Runner> => {
    const runner = await runnerOf(file)
    await runner.ready
    return runner
  }
  return {
    async prepare(files) {
      await Promise.all(files.map(ready))
      const named = new Set(files.map(keyOf))
      for (const [key, { runner }] of loaded) {
        if (named.has(key)) continue
        loaded.delete(key)
        runner.retire()
      }
    },
    step: (file) => ({ name: file.name, run: customStep(file.name, async (input) => (await ready(file)).ask(input)) }),
    async close() {
      await Promise.all([...loaded.values()].map(({ runner }) => runner.close()))
      loaded.clear()
    },
  }
}

function keyOf({ name, sha256 }: CustomStepFile): string {
  return `${sha256} ${name}`
}

/** The bytes that were checked, or none. */
async function sourceOf({ name, path, sha256 }: CustomStepFile): Promise<string> {
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
      remedy: 'It is read again as soon as the change is noticed.',
      facts: { step: name },
    })
  }
  return text
}
