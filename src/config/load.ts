// Loads a configuration file: reads it, parses it, checks each value, then the values together. All problems are
// reported together; only a file that cannot be read or parsed ends the check early.
import { dirname, resolve } from 'node:path'
import type { Environment } from '../core/environment.js'
import type { CustomStepFile } from '../core/pipeline/custom-step.js'
import { configHash } from './config-hash.js'
import type { Config, Draft } from './config.js'
import { readCustomStep } from './custom-steps.js'
import { createFiles, describeFailure, type Files } from './files.js'
import { readImage, type ImageFile } from './images.js'
import { ConfigError, valueProblem, type Position, type ConfigProblem, type ValueProblem } from './problem.js'
import type { ReadContext } from './read-context.js'
import { isEmpty, readDocument, withSource } from './read-document.js'
import { policyKeyOf, policyTextOf, type PolicyText } from './policy-text.js'
import { createReport, inOrder, onlyAbout, type Report } from './report.js'
import { FILE_RULES, RULES } from './rules/index.js'
import { configSchema } from './schema.js'
import type { Shape } from './schema-shape.js'
import { parseYaml, type YamlFile } from './yaml-file.js'

export { ConfigError, formatProblem, type ConfigProblem } from './problem.js'

export interface LoadedConfig {
  readonly config: Config
  readonly warnings: readonly ConfigProblem[]
  /** Of what the file puts in force (config-hash.ts): 64 hex characters. */
  readonly hash: string
  readonly file: string
  /** Absolute paths of the files that `...File` keys name. */
  readonly secretFiles: string[]
  /** Where a key stands, like `groupMapping[2].groups[0]`: for checks that need a database. */
  readonly positionOf: (path: string) => Position
}

export interface LoadOptions {
  readonly env: Environment
  /** In place of the file system; throws errors with Node's codes (ENOENT). */
  readonly readFile?: (path: string) => string
}

/** @throws ConfigError with every problem, in the order of the file */
export function loadConfig(file: string, options: LoadOptions): LoadedConfig {
  const report = createReport(file)
  const files = createFiles(options.readFile)
  const secretFiles: string[] = []
  const customSteps: CustomStepFile[] = []
  const images: ImageFile[] = []
  const found = read(file, files, options.env, report, { secretFiles, customSteps, images })
  if (report.problems.length > 0 || found === undefined) throw new ConfigError(inOrder(report.problems))
  // without a problem, nothing that must be there is missing
  const values = { ...found.draft as Config, customSteps, images, policyText: found.policyText() }
  const config = withSource(values, file, report)
  return {
    config,
    warnings: config.source.warnings,
    hash: configHash(config),
    file,
    secretFiles,
    positionOf: report.positionOf,
  }
}

interface Found {
  readonly secretFiles: string[]
  readonly customSteps: CustomStepFile[]
  readonly images: ImageFile[]
}

interface Read {
  readonly draft: Draft
  readonly policyText: () => PolicyText
}

/** @param found the other files that this one leads to */
function read(file: string, files: Files, env: Environment, report: Report, found: Found): Read | undefined {
  const text = readText(file, files, report)
  const yaml = text === undefined ? undefined : parse(text, report)
  if (text === undefined || !yaml) return undefined
  const context = {
    yaml,
    report,
    env,
    files,
    root: configSchema as Shape,
    secretFiles: found.secretFiles,
    ...paths(file, files, found),
  }
  const draft = readDocument(context, yaml.doc.contents, (read) => {
    const judged = { ...read, customSteps: found.customSteps }
    for (const rule of FILE_RULES) rule(judged, report, files)
    // an empty policy is no mistake where the policy is in the database
    const isDeployed = read.policy?.source === 'database'
    const others = isDeployed ? onlyAbout(report, (path) => policyKeyOf(path) === undefined) : report
    for (const rule of RULES) rule(judged, others, files)
  })
  return draft && { draft, policyText: () => policyTextOf(text, yaml.doc) }
}

function readText(file: string, files: Files, report: Report): string | undefined {
  try {
    const text = files.read(file)
    if (files.worldWritable(file)) { // guard: adv-config-writable
      report.warn(
        '',
        'file_writable',
        `Every user of this machine may change or replace the configuration ${file}.`,
        'It decides who may sign in. Take that right away from the file and its directory: chmod o-w.',
      )
    }
    return text
  } catch (error) {
    const { failure, message, remedy } = describeFailure(error)
    const start = failure === 'missing'
      ? 'Write one with: gatehouse init. Or name yours with --config FILE or GATEHOUSE_CONFIG.'
      : remedy
    report.problem('', `file_${failure}`, `The configuration ${file} ${message}.`, start)
    return undefined
  }
}

function parse(text: string, report: Report): YamlFile | undefined {
  const yaml = parseYaml(text, report, Object.keys(configSchema.properties))
  if (!yaml || isEmpty(yaml.doc.contents)) {
    if (report.problems.length === 0) {
      report.problem('', 'file_empty', 'The configuration is empty.', 'Write one with: gatehouse init --force')
    }
    return undefined
  }
  return yaml
}

type Paths = Pick<ReadContext, 'resolvePath' | 'unreadable' | 'unusableStep' | 'unusableImage'>

/** Relative paths count from the directory of the configuration file, wherever the program was started. */
function paths(file: string, files: Files, { customSteps, images }: Found): Paths {
  const directory = dirname(resolve(file))
  return {
    resolvePath: (path) => resolve(directory, path),
    unusableStep(name) {
      const step = readCustomStep(name, resolve(directory, name), files)
      if ('code' in step) return step
      customSteps.push(step)
      return undefined
    },
    unusableImage(path, place) {
      if (place === 'uploaded') return noUploads(path)
      const read = readImage(path, files)
      if ('code' in read) return read
      images.push(read)
      return undefined
    },
    unreadable(path): ValueProblem | undefined {
      try {
        files.read(path)
        return undefined
      } catch (error) {
        const { message, remedy } = describeFailure(error)
        return valueProblem('path_unreadable', `names ${path}, which ${message}`, remedy)
      }
    },
  }
}

function noUploads(name: string): ValueProblem {
  return valueProblem(
    'image_uploaded',
    `names the uploaded image ${name}, which policies in the database alone can use`,
    'Name a file of this machine: logoFile.',
  )
}
