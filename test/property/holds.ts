// fast-check under tap: the seed is told and can be given back as FC_SEED.
import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import type { Test } from 'tap'

const SEED = process.env.FC_SEED === undefined ? randomInt(2 ** 31) : Number(process.env.FC_SEED)
const TRIES = 300

/** Runs a property; a failure shows the seed, the path and the smallest example that 300 more runs find. */
export async function holds<T>(
  t: Test,
  arbitrary: fc.Arbitrary<T>,
  numRuns: number,
  check: (value: T) => Promise<void>,
): Promise<void> {
  t.comment(`${numRuns} runs, FC_SEED=${SEED}`)
  let triesLeft: number | undefined
  const bounded = async (value: T): Promise<void> => {
    if (triesLeft !== undefined) fc.pre(triesLeft-- > 0)
    try {
      await check(value)
    } catch (error) {
      triesLeft ??= TRIES
      throw error
    }
  }
  await fc.assert(fc.asyncProperty(arbitrary, bounded), { numRuns, seed: SEED })
  t.pass(`held ${numRuns} times`)
}
