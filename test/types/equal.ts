// Equality of types, for the type tests.

/** `true` if the types are identical, also in `readonly` and `undefined`. */
export type Equal<One, Other> = (<T>() => T extends One ? 1 : 2) extends (<T>() => T extends Other ? 1 : 2) ? true
  : false

/** Compiles only for `equal<Equal<One, Other>>()` with identical types. */
export function equal<_Same extends true>(): void {}
