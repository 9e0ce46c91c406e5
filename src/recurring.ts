// Work that is done now and then, until it is stopped.

/**
 * At once or after `firstMs`, and then every `intervalMs`; a run that fails is reported and the next one tries again.
 */
export function startRecurring(
  work: () => Promise<unknown>,
  intervalMs: number,
  onError: (error: unknown) => void,
  firstMs = 0,
): { readonly stop: () => Promise<void> } {
  let running: Promise<unknown> = Promise.resolve()
  const run = (): void => {
    running = work().catch(onError)
  }
  const timer = setInterval(run, intervalMs).unref()
  const first = firstMs > 0 ? setTimeout(run, firstMs).unref() : undefined
  if (firstMs <= 0) run()
  return {
    async stop() {
      clearInterval(timer)
      clearTimeout(first)
      await running
    },
  }
}
