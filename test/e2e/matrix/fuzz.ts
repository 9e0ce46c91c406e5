// Sends random requests to one proxy and judges what reaches the application by rules of the test's own: whoever the
// gateway took the client for, no reading of the path may be one that the person may not open.
import { IDENTITY_HEADERS } from '../../../src/core/identity-headers.js'
import { createAnswerReader, valuesOf } from '../../helpers/raw-answer.js'
import { openTls } from '../../helpers/raw-http.js'
import type { Received } from '../../helpers/upstream.js'
import type { Context } from './context.js'
import { createRequests, type FuzzRequest } from './fuzz-requests.js'
import { forgedIn } from './names.js'
import { isBelow, readingsOf } from './readings.js'

export interface FuzzResult {
  readonly requests: number
  readonly reached: number
  /** What reached the application and must not have, or was answered and must not have been. */
  readonly wrong: readonly string[]
}

/** What announces a body and sends none, or asks for an upgrade, may never be answered. */
const MAY_WAIT = /content-length|transfer.encoding|expect|upgrade/i
const SHORT_MS = 600
const LONG_MS = 10_000
const AT_A_TIME = 12
const USERS = { staff: 'sam.staff@contoso.example', ordinary: 'gus.guest@fabrikam.example', stranger: '' }

export async function fuzz(
  context: Omit<Context, 't'>,
  { seed, requests }: { seed: number, requests: number },
): Promise<FuzzResult> {
  const { scene, started, people } = context
  const next = createRequests(seed, people)
  const asked = new Map<string, FuzzRequest>()
  const wrong: string[] = []
  let sent = 0
  let reached = 0
  const judgeAll = (): void => {
    for (const received of scene.received.splice(0)) {
      reached++
      const fault = faultOf(received, asked, context.proxy.portByHost ?? false)
      if (fault !== undefined) wrong.push(`${fault}: ${described(received, asked)}`)
    }
  }
  scene.received.length = 0
  const worker = async (): Promise<void> => {
    while (sent < requests) {
      const request = next(sent++)
      asked.set(request.id, request)
      const answer = await exchange(request.atPages ? started.auth : started.app, request.bytes)
      const told = IDENTITY_HEADERS.filter((name) => valuesOf(answer, name.toLowerCase()).length > 0)
      if (told.length > 0) {
        wrong.push(`the answer has ${told.join()}: ${JSON.stringify(request.bytes.toString('latin1'))}`)
      }
      if (scene.received.length > 100) judgeAll()
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker))
  await new Promise((resolve) => setTimeout(resolve, SHORT_MS))
  judgeAll()
  return { requests, reached, wrong }
}

/** One connection, one write; whatever comes back until it is complete, closed or silent. */
function exchange(
  place: Parameters<typeof openTls>[0],
  bytes: Buffer,
): Promise<ReturnType<ReturnType<typeof createAnswerReader>['answer']>> {
  const socket = openTls(place)
  const reader = createAnswerReader(bytes.subarray(0, 5).toString() === 'HEAD ')
  return new Promise((resolve) => {
    const end = (): void => {
      socket.destroy()
      resolve(reader.answer())
    }
    socket.setTimeout(MAY_WAIT.test(bytes.toString('latin1')) ? SHORT_MS : LONG_MS, end)
    socket.on('data', (chunk: Buffer) => {
      if (reader.add(chunk)) end()
    })
    socket.on('error', end).on('close', end)
    socket.write(bytes)
  })
}

/** Why this must not have reached the application; undefined where it may. */
function faultOf(received: Received, asked: ReadonlyMap<string, FuzzRequest>, anyPort: boolean): string | undefined {
  const { headers } = received
  const user = String(headers['remote-user'] ?? '')
  const request = asked.get(String(headers['x-fuzz']))
  const forged = forgedIn(received)
  if (forged.length > 0) return `forged ${forged.join()}`
  const host = anyPort ? /^wiki\.example\.com\.?(:\d+)?$/i : /^wiki\.example\.com\.?(:0*443)?$/i
  if (!host.test(headers.host ?? '')) return `another host, ${headers.host}`
  if (!Object.values(USERS).includes(user)) return `unknown user ${user}`
  if (request && user !== '' && user !== USERS[request.person]) return `${user} in place of ${request.person}`
  const folders = anyPort ? ['/open', '/ported'] : ['/open']
  return faultOfPath(received.url.replace(/^https?:\/\/[^/]*/i, '').replace(/\?.*$/, ''), user, folders)
}

/** @param open what anyone may open */
function faultOfPath(path: string, user: string, open: readonly string[]): string | undefined {
  const readings = readingsOf(path)
  const outside = readings.find((reading) => !open.some((folder) => isBelow(reading, folder)))
  if (user === USERS.stranger && outside !== undefined) return `a stranger outside ${open.join()} (${outside})`
  const inside = readings.find((reading) => isBelow(reading, '/admin'))
  if (user === USERS.ordinary && inside !== undefined) return `an ordinary person in /admin (${inside})`
  return undefined
}

function described({ method, url, headers }: Received, asked: ReadonlyMap<string, FuzzRequest>): string {
  const request = asked.get(String(headers['x-fuzz']).replace(/-hidden$/, ''))
  return `${method} ${url} ${JSON.stringify(headers)} from ${JSON.stringify(request?.bytes.toString('latin1'))}`
}
