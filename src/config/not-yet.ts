// What the contract promises and the program cannot do yet. It is checked like everything else and then refused: a
// setting that is silently ignored would be believed to protect somebody. Whoever does the work deletes the line.
import type { Draft } from './config.js'
import type { Report } from './report.js'

interface NotYet {
  readonly path: string
  /** The key that asks for it; undefined where nothing does. */
  readonly asks: (draft: Draft, given: (path: string) => boolean) => boolean | undefined
  readonly sentence: string
}

export const NOT_YET: readonly NotYet[] = [
  { path: 'sync', asks: (_, given) => given('sync'), sentence: 'The re-evaluation of people with live sessions (sync)' },
]

export function refuseNotYet(draft: Draft, report: Report): void {
  const sound = NOT_YET.filter(({ path }) => !report.refused(path))
  for (const { path, asks, sentence } of sound) {
    if (asks(draft, report.given)) report.problem(path, 'not_yet', `${sentence}: this version of Gatehouse does not have it yet.`, `Take ${path} away.`, report.keyPlaceOf(path))
  }
}
