// Problems and warnings of an import, in the shape of the configuration's problems. A problem is something that the
// output leaves out; a warning is something that is different from NetBox.
import type { Position, ConfigProblem } from '../config/problem.js'

export interface ImportReport {
  readonly problems: ConfigProblem[]
  readonly warnings: ConfigProblem[]
  problem(at: Position, path: string, code: string, message: string, remedy: string): void
  warn(at: Position, path: string, code: string, message: string, remedy: string): void
}

export function createImportReport(file: string): ImportReport {
  const problems: ConfigProblem[] = []
  const warnings: ConfigProblem[] = []
  const entry = (
    { line, column }: Position,
    path: string,
    code: string,
    message: string,
    remedy: string,
  ): ConfigProblem => ({
    file,
    line,
    column,
    path,
    code,
    message,
    remedy,
  })
  return {
    problems,
    warnings,
    problem: (...finding) => {
      problems.push(entry(...finding))
    },
    warn: (...finding) => {
      warnings.push(entry(...finding))
    },
  }
}

/** The file as a whole cannot be imported; the message names file and place. */
export class ImportRefused extends Error {
  readonly remedy: string

  constructor(message: string, remedy: string) {
    super(message)
    this.name = 'ImportRefused'
    this.remedy = remedy
  }
}

/** How a message names a value of the file: quoted, and not at any length. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text)
}
