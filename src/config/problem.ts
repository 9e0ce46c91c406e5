// One mistake in a configuration: where it is, what it is, what to do. All of a file's are reported together.

export interface Problem {
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
  readonly problems: Problem[]

  constructor(problems: Problem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** `file:line:column: message`, and the remedy on a line of its own. */
export function formatProblem(problem: Problem): string {
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.message}\n    ${problem.remedy}`
}

export interface Place {
  readonly line: number
  readonly column: number
}

/** What a check found wrong: code, what is wrong as it follows the key's name, and what to do. */
export interface Refusal {
  readonly code: string
  readonly says: string
  readonly remedy: string
}

export function refuse(code: string, says: string, remedy: string): Refusal {
  return { code, says, remedy }
}
