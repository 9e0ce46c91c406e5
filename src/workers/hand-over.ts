// The two phases of a reload: every worker prepares the next configuration, then it is in force in all of them, or none
// has it. A worker that begins meanwhile waits for the result, so that it never runs another one than the others.
import type { ConfigInForce } from './config-in-force.js'
import type { WorkerHandle } from './worker-handle.js'

export type Participant = Pick<WorkerHandle, 'prepare' | 'send'>

export interface HandOver {
  /** Calls back with the configuration in force: now, or when the reload that is under way has ended. */
  give(receive: (config: ConfigInForce) => void): void
  /**
   * @param participants every worker that was given a configuration
   * @throws what the first worker failed with; the configuration before is in force in all
   */
  prepare(next: ConfigInForce, participants: readonly Participant[]): Promise<void>
  /** What was prepared is in force. */
  commit(): void
}

export function createHandOver(first: ConfigInForce): HandOver {
  let inForce = first
  let underWay: { readonly next: ConfigInForce, readonly participants: readonly Participant[] } | undefined
  let waiting: ((config: ConfigInForce) => void)[] = []
  const end = (kind: 'commit' | 'abort'): void => {
    for (const participant of underWay?.participants ?? []) participant.send({ kind })
    underWay = undefined
    for (const receive of waiting.splice(0)) receive(inForce)
  }
  return {
    give(receive) {
      if (underWay === undefined) receive(inForce)
      else waiting = [...waiting, receive] // guard: workers-start-during-reload
    },
    async prepare(next, participants) {
      underWay = { next, participants }
      try {
        await Promise.all(participants.map((participant) => participant.prepare(next)))
      } catch (error) {
        end('abort') // guard: workers-reload-all-or-none
        throw error
      }
    },
    commit() {
      inForce = underWay?.next ?? inForce // guard: workers-config-in-force
      end('commit')
    },
  }
}
