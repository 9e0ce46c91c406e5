// Judges drafts of the policy in the configuration in force, with its variables and files and no others.
import { createHash } from 'node:crypto'
import { asWritten } from './config/as-written.js'
import type { Config } from './config/config.js'
import type { ImageFile } from './config/images.js'
import type { LoadingThread } from './config/loading-thread.js'
import { entryProblems, type LoadedPolicy } from './config/policy-document.js'
import { ConfigError, type ConfigProblem } from './config/problem.js'
import { wholeConfig, type RunningConfig } from './config/running-config.js'
import type { Environment } from './core/environment.js'
import { createKeptResults } from './core/kept-results.js'
import { memoizeByConfig } from './core/memoize-by-config.js'
import type { DraftFinding, DraftJudgement } from './core/policy-draft.js'
import type { PolicyImages } from './core/policy-image.js'
import { imagesNamedIn } from './database-policy.js'

/** Judgements that are kept: a page shows the same text again and again. */
const MOST_KEPT = 8

export type JudgeDraft = (text: string) => Promise<DraftJudgement>

interface Surroundings {
  /** What the draft would run beside. */
  readonly inForce: Config
  readonly env: Environment
  /** Images that the text may name, where the policy is in the database. */
  readonly uploaded: readonly ImageFile[]
  readonly thread: Pick<LoadingThread, 'loadPolicy'>
}

/** @param images of policies in the database */
export function createDraftJudge(
  running: RunningConfig,
  { env, images, thread }: {
    readonly env: Environment
    readonly images: Pick<PolicyImages, 'namedIn'>
    readonly thread: Pick<LoadingThread, 'loadPolicy'>
  },
): JudgeDraft {
  const inForce = memoizeByConfig(running.current, () => ({
    config: wholeConfig(running),
    kept: createKeptResults<DraftJudgement>(MOST_KEPT),
  }))
  return async (text) => {
    const { config, kept } = inForce()
    const uploaded = config.policy.source === 'database' ? await imagesNamedIn(text, images) : []
    const key = createHash('sha256').update(JSON.stringify([text, uploaded.map(({ path }) => path)])).digest('base64')
    return await kept(key, () => judgeDraft(text, { inForce: config, env, uploaded, thread }))
  }
}

/** What the loader says of one row or rule by itself. @param path where it is to be, such as `groupMapping[2]` */
export type JudgeEntry = (yaml: string, path: string) => Promise<readonly DraftFinding[]>

export function createEntryJudge(running: RunningConfig, env: Environment): JudgeEntry {
  const inForce = memoizeByConfig(running.current, () => wholeConfig(running))
  return async (yaml, path) => {
    const find = (variables: Environment) => entryProblems(yaml, path, inForce(), variables)
    return await findingsShown(find(env), yaml, env, find)
  }
}

async function judgeDraft(text: string, surroundings: Surroundings): Promise<DraftJudgement> {
  const found = await load(text, surroundings)
  const find = async (env: Environment) => findingsOf(await load(text, { ...surroundings, env }))
  const shown = await findingsShown(findingsOf(found), text, surroundings.env, find)
  if (found instanceof ConfigError) return { problems: shown, warnings: [], policy: undefined }
  const { config } = found
  const { groupMapping, access, policyText: { hash } } = config
  const policy = { groupMapping, access, shownAccess: asWritten(config).access, hash }
  return { problems: [], warnings: shown, policy }
}

async function load(
  text: string,
  { inForce, env, uploaded, thread }: Surroundings,
): Promise<LoadedPolicy | ConfigError> {
  try {
    return await thread.loadPolicy(text, inForce, { name: 'draft', env, uploaded })
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
}

function findingsOf(found: LoadedPolicy | ConfigError): readonly ConfigProblem[] {
  return found instanceof ConfigError ? found.problems : found.warnings
}

/**
 * Messages of rules over several keys name values, also parts of them. Those that are the same where every variable has
 * another value of the same form contain nothing of it.
 */
async function findingsShown(
  findings: readonly ConfigProblem[],
  text: string,
  env: Environment,
  find: (env: Environment) => Promise<readonly ConfigProblem[]> | readonly ConfigProblem[],
): Promise<readonly DraftFinding[]> {
  if (!text.includes('${') || findings.length === 0) return findings.map((each) => finding(each, true))
  const others = Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, value && ofSameForm(value)]),
  )
  const same = new Set((await find(others)).map(keyOf))
  return findings.map((each) => finding(each, same.has(keyOf(each)))) // guard: policy-draft-no-values
}

/** A host stays a host, an id an id: digits, the letters of hexadecimal numbers, and other letters among themselves. */
function ofSameForm(value: string): string {
  const within = (digits: string) => (digit: string) => digits[(digits.indexOf(digit) + 1) % digits.length] ?? digit
  return value
    .replace(/[1-9]/g, within('123456789'))
    .replace(/[a-f]/g, within('abcdef'))
    .replace(/[g-z]/g, within('ghijklmnopqrstuvwxyz'))
    .replace(/[A-F]/g, within('ABCDEF'))
    .replace(/[G-Z]/g, within('GHIJKLMNOPQRSTUVWXYZ'))
}

function keyOf({ path, code, message, remedy }: ConfigProblem): string {
  return JSON.stringify([path, code, message, remedy])
}

function finding({ line, column, path, code, message, remedy }: ConfigProblem, isShown: boolean): DraftFinding {
  return { line, column, path, code, message: isShown ? message : null, remedy: isShown ? remedy : null }
}
