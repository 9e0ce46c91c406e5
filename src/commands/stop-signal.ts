// Waits for the signals that end a long-running command.

export interface StopSignal {
  /** Resolves with the name of the first signal. */
  readonly received: Promise<string>
  /** Stops as if `signal` had been received. */
  stop(signal: string): void
}

export function createStopSignal(signals: readonly NodeJS.Signals[]): StopSignal {
  let stop: (signal: string) => void = () => {}
  const received = new Promise<string>((resolve) => {
    stop = resolve
  })
  for (const signal of signals) process.once(signal, stop)
  return { received, stop }
}
