export interface FoundTest {
  /** From the outside in. */
  readonly titles: readonly string[]
  /** Names of guards. */
  readonly proves: readonly string[]
}
export function testsIn(source: string, file?: string): FoundTest[]
export function testTitles(source: string, file?: string): (readonly string[])[]
export function isComputed(title: string): boolean
