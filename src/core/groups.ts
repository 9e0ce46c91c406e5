// Local groups as administrators see them.
import type { Page, PageRequest } from './page.js'

export interface GroupView {
  readonly name: string
  readonly description: string
  readonly permissions: readonly string[]
  readonly members: number
}

export interface GroupFilter {
  /** A part of the name or of the description, in any case. */
  readonly q?: string | undefined
  /** Without members. */
  readonly empty?: boolean | undefined
  /** Without permissions, and not among these names. */
  readonly unusedExcept?: readonly string[] | undefined
}

/** In the order of names; the cursor is a name. */
export interface GroupsList {
  list(request: GroupFilter & PageRequest<string>): Promise<Page<GroupView, string>>
  /** Of one moment: for files. */
  all(): Promise<readonly GroupView[]>
  byName(name: string): Promise<GroupView | undefined>
  /** @returns the permissions of those of the names that are local groups */
  named(names: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>
}
