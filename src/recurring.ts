// Runs work periodically until it is stopped.

/**
 * Runs immediately or after `firstMs`, then every `intervalMs`. A failed run is reported; the next one runs as usual.
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
