export interface Guard {
  readonly name: string
  readonly find: string
  readonly replace: string
  /** The file of test/guards that has the entry. */
  readonly list: string
  /** The file that is changed. */
  readonly file: string
  /** Whether a comment `// guard: name` is the place; otherwise `find` is in the file once. */
  readonly marked: boolean
  /** The file of the test that must fail. */
  readonly test: string
  /** From the outside in. */
  readonly titles: readonly string[]
}
export function readGuards(root?: string): {
  readonly guards: ReadonlyMap<string, Guard>
  readonly problems: readonly string[]
}
export function markersIn(text: string): { readonly name: string, readonly line: number, readonly from: number }[]
export function mutate(guard: Guard, text: string): string | undefined
