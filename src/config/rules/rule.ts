// A rule checks several keys together. It gets the values that could be read, so that one mistake hides no other.
import type { Draft } from '../config.js'
import type { Files } from '../files.js'
import type { Report } from '../report.js'

export type Rule = (draft: Draft, report: Report, files: Files) => void

/** Entries of a list that could be read, with the paths they stand at. */
export function entries<Item>(
  list: readonly (Item | undefined)[] | undefined,
  path: string,
): { readonly item: Item, readonly path: string }[] {
  return (list ?? []).flatMap((item, index) => item === undefined ? [] : [{ item, path: `${path}[${index}]` }])
}
