// A policy alone, without the rest of a configuration file: a draft, or the text of a version. It is judged as if it
// stood in the configuration in force, whose files and variables it may use and no others: what is checked for an
// administrator must not show what the machine has beside them.
import type { Environment } from '../core/environment.js'
import type { CustomStepFile } from '../core/pipeline/custom-step.js'
import type { Config, Draft } from './config.js'
import { createFiles, type Files } from './files.js'
import type { ImageFile } from './images.js'
import { POLICY_KEYS, policyKeyOf, policyTextOf } from './policy-text.js'
import { ConfigError, valueProblem, type ConfigProblem } from './problem.js'
import type { ReadContext } from './read-context.js'
import { readValue } from './read.js'
import { isEmpty, readDocument, withSource } from './read-document.js'
import { createReport, inOrder, onlyAbout, type Report } from './report.js'
import { DEPLOYED_RULES, RULES } from './rules/index.js'
import { configSchema } from './schema.js'
import { propertyOf, type Shape } from './schema-shape.js'
import { parseYaml, type YamlFile } from './yaml-file.js'

export interface LoadedPolicy {
  /** The configuration in force with this policy in place of its own. */
  readonly config: Config
  /** Of the policy alone. */
  readonly warnings: readonly ConfigProblem[]
}

export interface PolicyDocumentOptions {
  /** How problems name the text: the name of a file, or `draft`. */
  readonly name: string
  readonly env: Environment
  /** Images that were uploaded, by their names in `path`; a policy of the configuration file has none. */
  readonly uploaded?: readonly ImageFile[]
}

/** As for a configuration file. */
const MAX_LENGTH = 1024 * 1024
const MOST_ENTRY_VALUES = 20_000
const START = { line: 1, column: 1 }

const SCHEMA = ofPolicy(configSchema as Shape)

function ofPolicy({ properties = {}, required = [], ...shape }: Shape): Shape {
  const isPolicy = (key: string): boolean => policyKeyOf(key) !== undefined
  return {
    ...shape,
    properties: Object.fromEntries(Object.entries(properties).filter(([key]) => isPolicy(key))),
    required: required.filter(isPolicy),
  }
}

/**
 * @param inForce what the policy would run beside
 * @throws ConfigError with every problem of the text, in its order
 */
export function loadPolicy(text: string, inForce: Config, options: PolicyDocumentOptions): LoadedPolicy {
  const { name, env, uploaded = [] } = options
  const report = createReport(name)
  const yaml = text.length > MAX_LENGTH ? tooLong(report) : parseYaml(text, report, POLICY_KEYS)
  const used: Used = { customSteps: [], images: [] }
  const draft = yaml && readPolicy(yaml, report, inForce, { env: variablesOf(inForce, env), used, uploaded })
  if (report.problems.length > 0 || draft === undefined || yaml === undefined) {
    throw new ConfigError(inOrder(report.problems.map(inPlaceOfUnknown)))
  }
  const values = { ...inForce, ...draft as Config, ...used, policyText: policyTextOf(text, yaml.doc) }
  const config = withSource(values, name, report)
  return { config, warnings: config.source.warnings }
}

interface Used {
  readonly customSteps: CustomStepFile[]
  readonly images: ImageFile[]
}

/** What a policy may use, and what it has used. */
interface Resources {
  readonly env: Environment
  readonly used: Used
  readonly uploaded: readonly ImageFile[]
}

function readPolicy(yaml: YamlFile, report: Report, inForce: Config, resources: Resources): Draft | undefined {
  const context = contextOf(yaml, report, inForce, resources)
  const { contents } = yaml.doc
  // an empty text is the policy in which every key has its default value
  return readDocument(context, isEmpty(contents) ? yaml.doc.createNode({}) : contents, (draft) => {
    judge({ ...inForce, ...draft, ...resources.used }, report, context.files)
  })
}

function contextOf(
  yaml: YamlFile,
  report: Report,
  inForce: Config,
  { env, used, uploaded }: Resources,
): Omit<ReadContext, 'budget'> {
  const files = createFiles(() => '') // nothing is read
  const refusesVariables = inForce.policy.source === 'database'
  const inUse = { ...filesInForce(inForce, used, uploaded), refusesVariables }
  return { yaml, report, env, files, root: SCHEMA, secretFiles: [], ...inUse }
}

/**
 * One row or rule by itself, without what it means for others.
 * @param yaml its text
 * @param path where it is to be: `groupMapping[2]`, `access.rules[0]`
 * @returns what the loader says of it, with lines of this text
 */
export function entryProblems(
  yaml: string,
  path: string,
  inForce: Config,
  env: Environment,
): readonly ConfigProblem[] {
  const report = createReport('draft')
  const parsed = parseYaml(yaml, report, [])
  const shape = path.split('.').reduce<Shape | undefined>((at, key) => {
    const inner = at && propertyOf(at, key.replace(/\[\d+\]$/, ''))
    return key.endsWith(']') ? inner?.items : inner
  }, SCHEMA)
  if (parsed === undefined || shape === undefined || report.problems.length > 0) return inOrder(report.problems)
  const used = { customSteps: [], images: [] }
  const variables = variablesOf(inForce, env) // guard: policy-entry-variables
  const context = contextOf(parsed, report, inForce, { env: variables, used, uploaded: [] })
  readValue({ ...context, budget: { left: MOST_ENTRY_VALUES } }, shape, parsed.doc.contents, path, START)
  return inOrder(report.problems)
}

/** The rules over several keys; what they find of the rest of the configuration is known already. */
function judge(draft: Draft, report: Report, files: Files): void {
  const aboutPolicy = onlyAbout(report, (path) => policyKeyOf(path) !== undefined)
  const rules = draft.policy?.source === 'database' ? [...DEPLOYED_RULES, ...RULES] : RULES
  for (const rule of rules) rule(draft, aboutPolicy, files)
}

/** Those that the policy in force names: the values of others are not to be found out by a policy that uses them. */
function variablesOf({ policyText: { canonical } }: Config, env: Environment): Environment {
  const names = new Set([...canonical.matchAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)/g)].map(([, name = '']) => name))
  return Object.fromEntries(Object.entries(env).filter(([name]) => names.has(name))) // guard: policy-variables-in-force
}

function filesInForce(
  { customSteps, images, policy: { source } }: Config,
  used: Used,
  uploaded: readonly ImageFile[],
): Pick<ReadContext, 'resolvePath' | 'unreadable' | 'unusableStep' | 'unusableImage'> {
  const isDeployed = source === 'database'
  return {
    resolvePath: (path) => images.find((image) => image.path.endsWith(`/${path.replace(/^\.\//, '')}`))?.path ?? path,
    unreadable: (path) => isDeployed ? noFile(path) : notInForce(path),
    unusableStep(name) {
      const step = customSteps.find((each) => each.name === name)
      if (step === undefined) return isDeployed ? unlistedStep(name) : notInForce(name) // guard: policy-listed-steps
      used.customSteps.push(step)
      return undefined
    },
    unusableImage(path, place) {
      if (place === (isDeployed ? 'file' : 'uploaded')) return isDeployed ? noFile(path) : notInForce(path)
      const image = (isDeployed ? uploaded : images).find((each) => each.path === path)
      if (image === undefined) return isDeployed ? notUploaded(path) : notInForce(path) // guard: policy-image-uploaded
      used.images.push(image)
      return undefined
    },
  }
}

function notInForce(path: string) {
  return valueProblem(
    'file_not_in_force',
    `names ${path}, which the policy in force does not use`,
    'Files are not read for a policy alone: check the whole configuration with gatehouse check --config FILE.',
  )
}

function unlistedStep(name: string) {
  return valueProblem(
    'step_unlisted',
    `names ${name}, which is not among ownSteps`,
    'List the file and its SHA-256 under ownSteps in the configuration file of every replica, and restart them.',
  )
}

function noFile(path: string) {
  return valueProblem(
    'policy_file',
    `names the file ${path}`,
    'A policy in the database names no files of a machine: take the key away.',
  )
}

function notUploaded(name: string) {
  return valueProblem(
    'image_unknown',
    `names the image ${name}, which was not uploaded`,
    'Upload it in the console (Drafts, Images), or with: gatehouse policy add-image FILE',
  )
}

function tooLong(report: Report): undefined {
  report.problem('', 'file_too_large', 'The policy is larger than 1 MB.', 'Check that this is the right file.')
}

function inPlaceOfUnknown(problem: ConfigProblem): ConfigProblem {
  const key = problem.path
  if (problem.code !== 'key_unknown' || !Object.hasOwn(configSchema.properties, key)) return problem
  return {
    ...problem,
    code: 'key_not_policy',
    message: `${key} is not a part of the policy.`,
    remedy: `A policy has ${POLICY_KEYS.join(', ')}; everything else is in the configuration file.`,
  }
}
