// Collects problems and warnings, and knows where in the file each key stands, so that any later check can say `path`
// and the operator is shown the line.
import type { Place, Problem } from './problem.js'

const START: Place = { line: 1, column: 1 }

export interface Report {
  readonly problems: Problem[]
  readonly warnings: Problem[]
  /** Remembers where a value (and its key) stands. */
  locate(path: string, value: Place, key?: Place): void
  given(path: string): boolean
  /** Where the value of this key stands; of the nearest key around it where this one is not given. */
  placeOf(path: string): Place
  /** Where the key itself stands. */
  keyPlaceOf(path: string): Place
  problem(path: string, code: string, message: string, remedy: string, at?: Place): void
  warn(path: string, code: string, message: string, remedy: string, at?: Place): void
  /** Whether something at or below this key has been found wrong. */
  refused(path: string): boolean
}

export function createReport(file: string): Report {
  const values = new Map<string, Place>()
  const keys = new Map<string, Place>()
  const problems: Problem[] = []
  const warnings: Problem[] = []
  const nearest = (places: ReadonlyMap<string, Place>, path: string): Place => {
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
    placeOf: (path) => nearest(values, path),
    keyPlaceOf: (path) => nearest(keys, path),
    problem(path, code, message, remedy, at = report.placeOf(path)) {
      problems.push({ file, ...at, path, code, message, remedy })
    },
    warn(path, code, message, remedy, at = report.placeOf(path)) {
      warnings.push({ file, ...at, path, code, message, remedy })
    },
    refused: (path) =>
      problems.some((problem) =>
        problem.path === path || problem.path.startsWith(`${path}.`) || problem.path.startsWith(`${path}[`)
      ),
  }
  return report
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('.'), path.lastIndexOf('['), 0))
}

/** In the order of the file; what an alias or a merge brings in several times is said once. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  const once = new Map(
    problems.map((problem) => [`${problem.line}:${problem.column}:${problem.code}:${problem.message}`, problem]),
  )
  return [...once.values()].sort((a, b) => a.line - b.line || a.column - b.column)
}
