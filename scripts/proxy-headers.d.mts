export const IDENTITY: readonly string[]
export const SET: readonly string[]
export const FAMILIES: Readonly<Record<string, readonly string[]>>
export const FORWARDED: readonly string[]
export const NAMES: readonly string[]
export const STRIPPED: readonly string[]
export function aliases(name: string): string
