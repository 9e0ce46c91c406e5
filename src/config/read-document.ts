// What a configuration file and a policy alone have in common: the parsed YAML is read by a schema and judged, and what
// was found becomes a configuration that knows where its values come from.
import { asWritten, POSITIONED_KEY, type ConfigSource } from './as-written.js'
import type { Config, Draft } from './config.js'
import type { ReadContext } from './read-context.js'
import { readSection } from './read.js'
import { inOrder, type Report } from './report.js'

const MAX_VALUES = 100_000

/**
 * @param contents of the document
 * @param judge the values together, unless a syntax error may have hidden some of them
 * @returns undefined where it has no keys; the report has every problem
 */
export function readDocument(
  context: Omit<ReadContext, 'budget'>,
  contents: unknown,
  judge: (draft: Draft) => void,
): Draft | undefined {
  const { yaml, report, root } = context
  const syntaxErrors = report.problems.length
  const budget = { left: MAX_VALUES }
  const draft = readSection({ ...context, budget }, root, contents, '', { line: 1, column: 1 }) as Draft | undefined
  const mistakes = report.problems.splice(syntaxErrors)
  report.problems.push(...mistakes.filter((problem) => !yaml.isUnreliable(problem)))
  if (draft && !yaml.broken) judge(draft)
  return draft
}

export function isEmpty(contents: unknown): boolean {
  return contents === null || contents === undefined ||
    (typeof contents === 'object' && 'value' in contents && contents.value === null)
}

/** @param file how problems name the text */
export function withSource(
  values: Omit<Config, 'source'>,
  file: string,
  report: Report,
): Config & { readonly source: ConfigSource } {
  const positions = new Map([...report.positions].filter(([path]) => POSITIONED_KEY.test(path)))
  const source = { file, variables: new Map(report.variables), positions, warnings: inOrder(report.warnings) }
  const config = { ...values, source }
  const { groupMapping: written } = asWritten(config)
  // labels are only shown and recorded, never compared
  const groupMapping = config.groupMapping.map((row, index) => ({ ...row, label: written[index]?.label }))
  return { ...config, groupMapping }
}
