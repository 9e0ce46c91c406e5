// The parts that a process has opened, each with its name, closed in the opposite order. A part that fails to close is
// logged with its name, and the others are closed all the same.

/** Registers a part that has just been opened. */
export type Own = (name: string, close: () => unknown) => void

export interface Lifecycle {
  readonly own: Own
  /** Whether the shutdown has begun: /readyz fails, and lost connections are no longer reported. */
  draining(): boolean
  /** Begins the shutdown without closing anything: call it before the shutdown of what the process depends on. */
  drain(): void
  /** Closes every part, the last one first. Never rejects. */
  close(): Promise<void>
}

export function createLifecycle(log: { error(facts: object, text: string): void }): Lifecycle {
  const parts: { readonly name: string, readonly close: () => unknown }[] = []
  let draining = false
  const drain = (): void => {
    draining = true
  }
  return {
    own: (name, close) => {
      parts.push({ name, close })
    },
    draining: () => draining,
    drain,
    async close() {
      drain()
      for (const { name, close } of parts.splice(0).reverse()) {
        try {
          await close()
        } catch (error) {
          log.error({ err: error, step: name }, 'shutdown step failed')
        }
      }
    },
  }
}
