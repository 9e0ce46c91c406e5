// What the contract promises and the program cannot do yet. It is checked like everything else and then refused: a
// setting that is silently ignored would be believed to protect somebody. Whoever does the work deletes the line.
import type { Config, Draft } from './config.js'
import type { Report } from './report.js'

interface NotYet {
  readonly path: string
  /** The key that asks for it; undefined where nothing does. */
  readonly asks: (draft: Draft, given: (path: string) => boolean) => boolean | undefined
  readonly sentence: string
}

export const NOT_YET: readonly NotYet[] = [
  { path: 'session.identityCookie', asks: ({ session }) => session?.identityCookie, sentence: 'The identity cookie' },
  { path: 'keys.rotateEvery', asks: (_, given) => given('keys.rotateEvery'), sentence: 'The rotation of assertion keys' },
  { path: 'access.rules', asks: ({ access }) => (access?.rules?.length ?? 0) > 0, sentence: 'Access rules' },
  { path: 'headers.families', asks: ({ headers }, given) => given('headers.families') && headers?.families?.includes('assertion'), sentence: 'The header family assertion' },
  { path: 'headers.extra', asks: ({ headers }) => (headers?.extra?.length ?? 0) > 0, sentence: 'Headers of your own' },
  { path: 'sync', asks: (_, given) => given('sync'), sentence: 'The re-evaluation of people with live sessions (sync)' },
]

export function refuseNotYet(draft: Draft, report: Report): void {
  const sound = NOT_YET.filter(({ path }) => !report.refused(path))
  for (const { path, asks, sentence } of sound) {
    if (asks(draft, report.given)) report.problem(path, 'not_yet', `${sentence}: this version of Gatehouse does not have it yet.`, `Take ${path} away.`, report.keyPlaceOf(path))
  }
}

/** The default asks for every family of headers; until assertions exist it means those that do. */
export function withoutWhatIsNotYet(config: Config): Config {
  return { ...config, headers: { ...config.headers, families: config.headers.families.filter((family) => family !== 'assertion') } }
}
