// What `gatehouse check` warns of about the access rules, for a configuration that is in force already.
import type { Config } from './config.js'
import { createFiles } from './files.js'
import type { ConfigProblem } from './problem.js'
import { createReport } from './report.js'
import { ruleNamesOnce, rulesCloseTheFolderItself, rulesDecide, shadowRulesProtectNothing } from './rules/access.js'
import { accessRulesWithinCookie, accessRulesWithinRedirects } from './rules/addresses.js'
import type { Rule } from './rules/rule.js'

const RULES: readonly Rule[] = [
  accessRulesWithinCookie,
  accessRulesWithinRedirects,
  rulesDecide,
  rulesCloseTheFolderItself,
  ruleNamesOnce,
  shadowRulesProtectNothing,
]

/** Without the position in the file, which is not kept. */
export function accessFindings(
  config: Pick<Config, 'access' | 'server' | 'session' | 'source'>,
): readonly Omit<ConfigProblem, 'file' | 'line' | 'column'>[] {
  const report = createReport('')
  for (const [path, text] of config.source?.variables ?? []) report.wroteVariable(path, text)
  const files = createFiles()
  for (const rule of RULES) rule(config, report, files)
  return report.warnings.map(({ path, code, message, remedy }) => ({ path, code, message, remedy }))
}
