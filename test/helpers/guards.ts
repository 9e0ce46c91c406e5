// The guards of test/guards: places of the source or of a shipped file, each with the test that fails without it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Guard {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  readonly test: string
  readonly titles: readonly string[]
}

/** @returns every guard by its name */
export function readGuards(folder = 'test/guards'): ReadonlyMap<string, Guard> {
  const all = readdirSync(folder).flatMap((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Guard[])
  return new Map(all.map((guard) => [guard.name, guard]))
}
