// A kind of value: how its text is read, and the problem where it cannot be read.
import type { ValueProblem } from '../problem.js'

export interface Reading {
  readonly value: string | number
}

export interface KindContext {
  /** How a message names the value: quoted where it stands in the file; never for a secret or a variable's content. */
  readonly shown: string
  readonly min?: string | undefined
  readonly max?: string | undefined
  /** A path as the file means it, made absolute. */
  resolvePath(path: string): string
  /** Why a file cannot be read. */
  unreadable(path: string): ValueProblem | undefined
  /** Why a module beside the configuration cannot be a step; one that can be is remembered. */
  unusableStep(name: string): ValueProblem | undefined
  /** Why this cannot be a picture on pages; one that can be is remembered. */
  unusableImage(path: string, place: ImagePlace): ValueProblem | undefined
}

/** Where a picture may come from: a file beside the configuration, or an upload for policies of the database. */
export type ImagePlace = 'file' | 'uploaded' | 'any'

export interface Kind {
  /** What the reference page calls it. */
  readonly title: string
  /** For editors: what every right value matches; it may let wrong ones pass. */
  readonly pattern?: string
  read(text: string, context: KindContext): Reading | ValueProblem
}

export function isRefusal(reading: { readonly value: unknown } | ValueProblem): reading is ValueProblem {
  return 'code' in reading
}
