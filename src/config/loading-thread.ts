// Loads long files and policies in a thread: the YAML of ten thousand rows takes a second, in which this process would
// answer nothing. A short one is loaded here, since a thread takes longer to start.
import { statSync } from 'node:fs'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Environment } from '../core/environment.js'
import type { PolicyEntries } from '../core/policy-entries.js'
import type { Config } from './config.js'
import { withBytes, withContent, type ImageBytes } from './images.js'
import { loadConfig, type LoadedConfig } from './load.js'
import { loadPolicy, type LoadedPolicy, type PolicyDocumentOptions } from './policy-document.js'
import { readPolicyEntries } from './policy-entries.js'
import { POLICY_KEYS } from './policy-text.js'
import { ConfigError, type ConfigProblem } from './problem.js'

/** Without what only a check of the file needs. */
export type LoadedFile = Omit<LoadedConfig, 'positionOf'>

export interface LoadingThread {
  /** As loadConfig. @throws ConfigError */
  loadConfig(file: string, env: Environment): Promise<LoadedFile>
  /** As loadPolicy. @throws ConfigError */
  loadPolicy(text: string, inForce: Config, options: PolicyDocumentOptions): Promise<LoadedPolicy>
  /** As readPolicyEntries. */
  readEntries(text: string): Promise<PolicyEntries>
}

/** A configuration as it is sent between threads: functions cannot be. */
type Sent<Values extends Pick<Config, 'images'>> = Omit<Values, 'images'> & { readonly images: readonly ImageBytes[] }

/** What a policy has in place of the configuration in force. */
type PolicyPart = Pick<Config, typeof POLICY_KEYS[number] | 'customSteps' | 'images' | 'policyText' | 'source'>

type PolicyOptions = Omit<PolicyDocumentOptions, 'uploaded'> & { readonly uploaded: readonly ImageBytes[] }

export type Task =
  | { readonly kind: 'file', readonly file: string, readonly env: Environment }
  | { readonly kind: 'entries', readonly text: string }
  | { readonly kind: 'policy', readonly text: string, readonly inForce: Sent<Config>, readonly options: PolicyOptions }

export type Answer =
  | { readonly problems: readonly ConfigProblem[] }
  | { readonly kind: 'file', readonly loaded: Omit<LoadedFile, 'config'> & { readonly config: Sent<Config> } }
  | { readonly kind: 'entries', readonly entries: PolicyEntries }
  | { readonly kind: 'policy', readonly part: Sent<PolicyPart>, readonly warnings: readonly ConfigProblem[] }

/** Characters; takes some hundredths of a second. */
const SHORT = 32_768

/** A megabyte of YAML takes some seconds on a slow machine. One text must not block all others for ever. */
const MOST_MS = 60_000

/** One thread at a time, so that the memory it needs is not needed twice. @param mostMs that one text may take */
export function createLoadingThread({ mostMs = MOST_MS }: { readonly mostMs?: number } = {}): LoadingThread {
  let last: Promise<unknown> = Promise.resolve()
  const answerTo = async (task: Task): Promise<Answer> => {
    const answer = last.then(() => inThread(task, mostMs))
    last = answer.catch(() => {})
    const given = await answer
    if ('problems' in given) throw new ConfigError([...given.problems])
    return given
  }
  return {
    async loadConfig(file, env) {
      if (lengthOf(file) <= SHORT) return loadConfig(file, { env })
      const answer = await answerTo({ kind: 'file', file, env: { ...env } })
      if (!('loaded' in answer)) throw new Error('the thread has loaded something else')
      return { ...answer.loaded, config: received(answer.loaded.config) }
    },
    async loadPolicy(text, inForce, options) {
      if (text.length <= SHORT) return loadPolicy(text, inForce, options) // guard: policy-long-in-a-thread
      const { env, uploaded = [] } = options
      const sent = { ...options, env: { ...env }, uploaded: uploaded.map(withBytes) }
      const answer = await answerTo({ kind: 'policy', text, inForce: toSend(inForce), options: sent })
      if (!('part' in answer)) throw new Error('the thread has loaded something else')
      return { config: { ...inForce, ...received(answer.part) }, warnings: answer.warnings }
    },
    async readEntries(text) {
      if (text.length <= SHORT) return readPolicyEntries(text) // guard: policy-entries-in-a-thread
      const answer = await answerTo({ kind: 'entries', text })
      if (!('entries' in answer)) throw new Error('the thread has read something else')
      return answer.entries
    },
  }
}

/** In the thread. */
export function answer(task: Task): Answer {
  try {
    if (task.kind === 'policy') return answerPolicy(task)
    if (task.kind === 'entries') return { kind: 'entries', entries: readPolicyEntries(task.text) }
    const { config, warnings, hash, file, secretFiles } = loadConfig(task.file, { env: task.env })
    return { kind: 'file', loaded: { config: toSend(config), warnings, hash, file, secretFiles } }
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.problems }
    throw error
  }
}

function answerPolicy({ text, inForce, options }: Extract<Task, { kind: 'policy' }>): Answer {
  const uploaded = options.uploaded.map(withContent)
  const { config, warnings } = loadPolicy(text, received(inForce), { ...options, uploaded })
  const keys = [...POLICY_KEYS, 'customSteps', 'images', 'policyText', 'source'] as const
  const part = Object.fromEntries(keys.map((key) => [key, config[key]])) as unknown as PolicyPart
  return { kind: 'policy', part: toSend(part), warnings }
}

function toSend<Values extends Pick<Config, 'images'>>({ images, ...rest }: Values): Sent<Values> {
  return { ...rest, images: images.map(withBytes) }
}

function received<Values extends Pick<Config, 'images'>>({ images, ...rest }: Sent<Values>): Values {
  return { ...rest, images: images.map(withContent) } as unknown as Values
}

/** Of a file that cannot be read: 0, so that loading it says why. */
function lengthOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

const PROGRAM = new URL(`loading-thread-main${extname(import.meta.url)}`, import.meta.url)

async function inThread(task: Task, mostMs: number): Promise<Answer> {
  const worker = new Worker(PROGRAM, { workerData: task })
  let timer: NodeJS.Timeout | undefined
  try {
    return await new Promise((resolve, reject) => {
      const late = new Error(`the thread that loads the configuration is ended: no answer within ${mostMs} ms`)
      timer = setTimeout(() => reject(late), mostMs) // guard: policy-thread-limit
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.once('exit', () => reject(new Error('the thread that loads the configuration has ended')))
    })
  } finally {
    clearTimeout(timer)
    await worker.terminate()
  }
}
