// What an import has to say, in the shape of the configuration's own problems: a problem is something that is left out
// of what is printed, a warning is something that is different from NetBox.
import type { Place, Problem } from '../config/problem.js'

export interface ImportReport {
  readonly problems: Problem[]
  readonly warnings: Problem[]
  problem(at: Place, path: string, code: string, message: string, remedy: string): void
  warn(at: Place, path: string, code: string, message: string, remedy: string): void
}

export function createImportReport(file: string): ImportReport {
  const problems: Problem[] = []
  const warnings: Problem[] = []
  const entry = ({ line, column }: Place, path: string, code: string, message: string, remedy: string): Problem => ({
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
    problem: (...said) => {
      problems.push(entry(...said))
    },
    warn: (...said) => {
      warnings.push(entry(...said))
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
