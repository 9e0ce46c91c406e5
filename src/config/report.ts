// Collects problems and warnings, and knows where in the file each key stands, so that any later check can use `path`
// and the operator is shown the line.
import type { Position, ConfigProblem } from './problem.js'

const START: Position = { line: 1, column: 1 }

export interface Report {
  readonly problems: ConfigProblem[]
  readonly warnings: ConfigProblem[]
  /** Remembers where a value (and its key) stands. */
  locate(path: string, value: Position, key?: Position): void
  given(path: string): boolean
  /** Remembers that a value contains variables. @param text as it is shown */
  wroteVariable(path: string, text: string): void
  /** What people are shown of a value: as the file has it where it contains a variable. */
  textOf(path: string, value: string): string
  /** The texts of the values that contain variables. */
  readonly variables: ReadonlyMap<string, string>
  readonly positions: ReadonlyMap<string, Position>
  /** Where the value of this key stands; of the nearest key around it where this one is not given. */
  positionOf(path: string): Position
  /** Where the key itself stands. */
  keyPositionOf(path: string): Position
  problem(path: string, code: string, message: string, remedy: string, at?: Position): void
  warn(path: string, code: string, message: string, remedy: string, at?: Position): void
  /** Whether something at or below this key has been found wrong. */
  refused(path: string): boolean
}

export function createReport(file: string): Report {
  const values = new Map<string, Position>()
  const keys = new Map<string, Position>()
  const variables = new Map<string, string>()
  const problems: ConfigProblem[] = []
  const warnings: ConfigProblem[] = []
  const nearest = (places: ReadonlyMap<string, Position>, path: string): Position => {
    for (let at = path; at !== ''; at = parentOf(at)) {
      const place = places.get(at) ?? (at === path ? undefined : keys.get(at))
      if (place) return place
    }
    return START
  }
  const report: Report = {
    problems,
    warnings,
    locate(path, value, key) {
      values.set(path, value)
      keys.set(path, key ?? value)
    },
    given: (path) => values.has(path),
    wroteVariable(path, text) {
      variables.set(path, text)
    },
    textOf: (path, value) => variables.get(path) ?? value,
    variables,
    positions: values,
    positionOf: (path) => nearest(values, path),
    keyPositionOf: (path) => nearest(keys, path),
    problem(path, code, message, remedy, at = report.positionOf(path)) {
      problems.push({ file, ...at, path, code, message, remedy })
    },
    warn(path, code, message, remedy, at = report.positionOf(path)) {
      warnings.push({ file, ...at, path, code, message, remedy })
    },
    refused: (path) =>
      problems.some((problem) =>
        problem.path === path || problem.path.startsWith(`${path}.`) || problem.path.startsWith(`${path}[`)
      ),
  }
  return report
}

/** The same report without what is found at other paths. */
export function onlyAbout(report: Report, isAbout: (path: string) => boolean): Report {
  return {
    ...report,
    problem: (path, ...rest) => {
      if (isAbout(path)) report.problem(path, ...rest)
    },
    warn: (path, ...rest) => {
      if (isAbout(path)) report.warn(path, ...rest)
    },
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('.'), path.lastIndexOf('['), 0))
}

/** In the order of the file; what an alias or a merge brings in several times is reported once. */
export function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const once = new Map(
    problems.map((problem) => [`${problem.line}:${problem.column}:${problem.code}:${problem.message}`, problem]),
  )
  return [...once.values()].sort((a, b) => a.line - b.line || a.column - b.column)
}
