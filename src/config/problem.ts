// One mistake in a configuration: where it is, what it is, what to do. All of a file's are reported together.

export interface ConfigProblem {
  readonly file: string
  /** Counted from 1; both are 1 where the file as a whole is meant. */
  readonly line: number
  readonly column: number
  /** The key, like `groupMapping[2].entraGroup`; empty for the file as a whole. */
  readonly path: string
  /** Stable; docs/configuration.md explains how problems are reported. */
  readonly code: string
  readonly message: string
  readonly remedy: string
}

export class ConfigError extends Error {
  readonly problems: ConfigProblem[]

  constructor(problems: ConfigProblem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** `file:line:column: message`, and the remedy on a line of its own. */
export function formatProblem(problem: ConfigProblem): string {
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.message}\n    ${problem.remedy}`
}

export interface Position {
  readonly line: number
  readonly column: number
}

/** What a check found wrong: code, what is wrong as it follows the key's name, and what to do. */
export interface ValueProblem {
  readonly code: string
  readonly message: string
  readonly remedy: string
}

export function valueProblem(code: string, message: string, remedy: string): ValueProblem {
  return { code, message, remedy }
}
