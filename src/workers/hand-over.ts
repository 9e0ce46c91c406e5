// The two phases of a reload: every worker prepares the next configuration, then it is in force in all of them, or none
// has it. A worker that begins meanwhile waits for the result, so that it never runs another one than the others.
import type { ConfigInForce } from './config-in-force.js'
import type { WorkerHandle } from './worker-handle.js'

export type Participant = Pick<WorkerHandle, 'prepare' | 'send'>

export interface HandOver {
  /**
   * Calls back with the configuration in force: now, or when the reload that is under way has ended.
   * @returns whether it waits
   */
  give(receive: (config: ConfigInForce) => void): boolean
  /**
   * @param participants every worker that was given a configuration
   * @throws what the first worker failed with; the configuration before is in force in all
   */
  prepare(next: ConfigInForce, participants: readonly Participant[]): Promise<void>
  /** The process of a participant has ended, whether or not it had agreed: what is under way is refused. */
  ended(participant: Participant): void
  /** What was prepared is in force. */
  commit(): void
}

interface UnderWay {
  readonly next: ConfigInForce
  readonly participants: readonly Participant[]
  readonly refuse: (error: Error) => void
}

export function createHandOver(first: ConfigInForce): HandOver {
  let inForce = first
  let underWay: UnderWay | undefined
  let waiting: ((config: ConfigInForce) => void)[] = []
  const end = (kind: 'commit' | 'abort'): void => {
    for (const participant of underWay?.participants ?? []) participant.send({ kind })
    underWay = undefined
    for (const receive of waiting.splice(0)) receive(inForce)
  }
  return {
    give(receive) {
      const waits = underWay !== undefined
      if (!waits) receive(inForce)
      else waiting = [...waiting, receive] // guard: workers-start-during-reload
      return waits
    },
    async prepare(next, participants) {
      const refused = new Promise<never>((_resolve, reject) => {
        underWay = { next, participants, refuse: reject }
      })
      try {
        await Promise.race([Promise.all(participants.map((participant) => participant.prepare(next))), refused])
      } catch (error) {
        end('abort') // guard: workers-reload-all-or-none
        throw error
      }
    },
    ended(participant) {
      if (!underWay?.participants.includes(participant)) return
      underWay.refuse(new Error('a worker has ended during the reload')) // guard: workers-reload-ended
    },
    commit() {
      inForce = underWay?.next ?? inForce // guard: workers-config-in-force
      end('commit')
    },
  }
}
