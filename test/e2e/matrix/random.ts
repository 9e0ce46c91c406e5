// Random choices that a seed repeats.
export interface Random {
  chance(share: number): boolean
  pick<T>(from: readonly T[]): T
  /** None to so many. */
  many<T>(most: number, one: () => T): T[]
}

/** Mulberry32: enough for tests, and the same everywhere. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    chance: (share) => next() < share,
    pick: <T>(from: readonly T[]) => from[Math.floor(next() * from.length)] as T,
    many: (most, one) => Array.from({ length: Math.floor(next() * (most + 1)) }, one),
  }
}
