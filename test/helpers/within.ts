// An answer that may never come: the test goes on without it, and can release what it holds.

/** @returns undefined: it did not come within so many milliseconds */
export async function within<T>(ms: number, answer: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms)
  })
  return await Promise.race([answer, late]).finally(() => clearTimeout(timer))
}
