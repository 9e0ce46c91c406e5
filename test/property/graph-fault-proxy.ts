// Stands between the gateway and the simulated Graph, so that a test has pages of any size and can stop one question or
// one answer where it wants: an order of events that is made, not hoped for.
import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'
import type { Test } from 'tap'

/** `asked`: the simulator has not seen the question yet. `answered`: the answer is fixed, but has not left. */
export interface Stop {
  readonly moment: 'asked' | 'answered'
  readonly page: number
}

export interface Held {
  /** Somebody stands there. */
  readonly reached: Promise<void>
  /** Lets them go; nobody is stopped any more. */
  release(): void
}

export interface GraphDoor {
  readonly url: string
  /** What becomes of `$top`; 999 leaves it alone. */
  pageSize: number
  /** Called before each question is passed on. */
  onQuestion: () => void
  /** Stops the next login that gets there; each login is told by its `client-request-id`. */
  hold(stop: Stop): Held
}

interface Waiting extends Stop {
  readonly arrive: () => void
  readonly released: Promise<void>
}

/** `simulator`: port on which the simulated Graph listens (or will listen). */
export async function openGraphDoor(t: Test, simulator: number): Promise<GraphDoor> {
  const agent = new Agent({ keepAlive: true })
  const pages = new Map<string, number>()
  const waiting: Waiting[] = []

  const stopAt = async (moment: Stop['moment'], page: number): Promise<void> => {
    const index = waiting.findIndex((stop) => stop.moment === moment && stop.page === page)
    if (index === -1) return
    const [stop] = waiting.splice(index, 1)
    stop?.arrive()
    await stop?.released
  }
  const pass = async (question: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const login = String(question.headers['client-request-id'])
    const page = (pages.get(login) ?? 0) + 1
    pages.set(login, page)
    door.onQuestion()
    await stopAt('asked', page)
    const path = question.url?.replace('$top=999', `$top=${door.pageSize}`)
    const onward = request({
      agent,
      host: '127.0.0.1',
      port: simulator,
      method: question.method,
      path,
      headers: question.headers,
    })
    onward.on('error', () => answer.destroy())
    const passBack = async (found: IncomingMessage): Promise<void> => {
      await stopAt('answered', page)
      answer.writeHead(found.statusCode ?? 500, found.rawHeaders)
      pipeline(found, answer, () => {}) // a cut answer is cut on this side too
    }
    onward.on('response', (found) => {
      void passBack(found)
    })
    answer.on('close', () => onward.destroy())
    question.pipe(onward)
  }

  const server = createServer((question, answer) => {
    void pass(question, answer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
    agent.destroy()
  })
  const door: GraphDoor = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pageSize: 999,
    onQuestion: () => {},
    hold(stop) {
      const { promise: reached, resolve: arrive } = signal()
      const { promise: released, resolve: release } = signal()
      const mine: Waiting = { ...stop, arrive, released }
      waiting.push(mine)
      return {
        reached,
        release() {
          if (waiting.includes(mine)) waiting.splice(waiting.indexOf(mine), 1)
          release()
        },
      }
    },
  }
  return door
}

function signal(): { promise: Promise<void>, resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
