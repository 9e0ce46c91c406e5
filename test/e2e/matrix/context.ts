// One proxy, running, with the people who ask through it and the application that records what reaches it.
import type { Test } from 'tap'
import type { Proxy, StartedProxy } from '../../helpers/proxies-all.js'
import { APP, type Scene } from '../../helpers/proxies-scene.js'
import type { TcpFaultProxy } from '../../helpers/tcp-fault-proxy.js'
import { askRaw, type Place, type RawAnswer } from '../../helpers/raw-http.js'
import type { Received } from '../../helpers/upstream.js'
import type { Relay } from '../../helpers/relay.js'

export interface Context {
  readonly t: Test
  readonly proxy: Proxy
  readonly started: StartedProxy
  readonly scene: Scene
  /** Between the gateway and its database. */
  readonly database: TcpFaultProxy
  /** Between the proxy and the gateway. */
  readonly relay: Relay
  readonly people: People
  /** Signs staff in from a page load on. @returns what became of it */
  signInAgain(path: string): Promise<string>
}

/** Cookie headers. */
export interface People {
  readonly staff: string
  readonly ordinary: string
}

/** One line of a column's table: what is tried, and what becomes of it at this proxy, in a few words. */
export interface Row {
  readonly title: string
  ask(context: Context): Promise<string>
}

export interface Column {
  readonly title: string
  readonly rows: readonly Row[]
  /** A cell of the overview from the cells of one proxy; otherwise each different one. */
  summary?(cells: readonly string[]): string
}

export interface Sending {
  readonly method?: string
  readonly target?: string
  readonly version?: string
  /** One value, several lines, or none. */
  readonly host?: string | readonly string[]
  readonly cookie?: string
  /** Lines as they stand. */
  readonly headers?: readonly string[]
  readonly body?: string | Buffer
  readonly place?: Place
  readonly patienceMs?: number
}

/** `seen`: what reached the application meanwhile. */
export interface Outcome {
  readonly status: number
  readonly answer: RawAnswer
  readonly seen: readonly Received[]
}

export const PAGE = ['Accept: text/html', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document']
export const JSON_CLIENT = ['Accept: application/json']

export async function send({ started, scene }: Context, sending: Sending): Promise<Outcome> {
  const {
    method = 'GET',
    target = '/x',
    version = '1.1',
    host = APP,
    cookie,
    headers = JSON_CLIENT,
    body,
    place = started.app,
    patienceMs,
  } = sending
  scene.received.length = 0
  const hosts = [host].flat().map((each) => `Host: ${each}`)
  const connection = headers.some((each) => /^connection:/i.test(each)) ? [] : ['Connection: close']
  const length = body === undefined || headers.some((each) => /^transfer-encoding:/i.test(each))
    ? []
    : [`Content-Length: ${Buffer.byteLength(body)}`]
  const lines = [...hosts, ...connection, ...(cookie ? [`Cookie: ${cookie}`] : []), ...length, ...headers]
  const answer = await askRaw(place, {
    line: `${method} ${target} HTTP/${version}`,
    headers: lines,
    ...(body === undefined ? {} : { body }),
    ...(patienceMs === undefined ? {} : { patienceMs }),
  })
  return { status: answer.status, answer, seen: [...scene.received] }
}

/** What a table says of an answer: its status, or that the connection was closed. */
export function said({ status }: Pick<Outcome, 'status'>): string {
  return status === 0 ? 'closed' : String(status)
}

/** The same, where only the application's answer is a 200. */
export function served({ status, seen }: Pick<Outcome, 'status' | 'seen'>): string {
  return status === 200 && seen.length === 0 ? 'empty 200' : said({ status })
}

/** Different values once each, in the order in which they came. */
export function each(values: readonly string[]): string {
  return [...new Set(values)].join(', ')
}

/** The overview of rows that say a status first: each different one. */
export function statuses(cells: readonly string[]): string {
  return each(cells.flatMap((cell) => cell.match(/empty 200|closed|\b\d{3}\b/g) ?? []).sort())
}

/** The sum of a number that each cell has. */
export function total(cells: readonly string[], number: RegExp): number {
  return cells.reduce((sum, cell) => sum + Number(number.exec(cell)?.[1] ?? 0), 0)
}

export function described(seen: readonly Received[]): string {
  return seen.map(({ method, url, headers }) => `${method} ${url} of ${headers.host}`).join(' and ')
}
