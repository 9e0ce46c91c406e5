// Random requests, as bytes.
import { APP, AUTH } from '../../helpers/proxies-scene.js'
import type { People } from './context.js'
import {
  BROKEN,
  FRAMING,
  METHODS,
  NAMED_IN_CONNECTION,
  ODD,
  OTHER_COOKIES,
  OTHER_HOSTS,
  OTHERS,
  PIECES,
  SCHEMES,
  STARTS,
  STRANGERS_COOKIES,
  TARGETS,
} from './fuzz-pieces.js'
import { STRIPPED } from './names.js'
import { createRandom, type Random } from './random.js'

export type Person = keyof People | 'stranger'

export interface FuzzRequest {
  readonly id: string
  readonly person: Person
  readonly atPages: boolean
  readonly bytes: Buffer
}

/** @returns one request for each number, if they are asked for in order */
export function createRequests(seed: number, people: People): (number: number) => FuzzRequest {
  const random = createRandom(seed)
  const { chance, pick, many } = random
  return (number) => {
    const id = `f${number}`
    const person = pick<Person>(['stranger', 'stranger', 'ordinary', 'ordinary', 'staff'])
    const atPages = chance(0.1)
    const lines = [
      `${pick(METHODS)} ${target(random)} HTTP/${chance(0.95) ? '1.1' : pick(['1.0', '1.2', '2.0', '0.9'])}`,
      ...(chance(0.98) ? [`Host: ${atPages ? AUTH : host(random)}`] : []),
      ...(chance(0.03) ? [`Host: ${pick(OTHER_HOSTS)}`] : []),
      `X-Fuzz: ${id}`,
      ...cookies(random, person === 'stranger' ? pick(STRANGERS_COOKIES) : people[person]),
      ...(chance(0.5) ? ['Accept: application/json'] : []),
      ...many(6, () => header(random)),
    ]
    const text = `${lines.join('\r\n')}\r\n\r\n${body(random, id)}${chance(0.1) ? hidden(id) : ''}`
    return { id, person, atPages, bytes: Buffer.from(text, 'latin1') }
  }
}

function path({ chance, pick, many }: Random): string {
  const text = `${pick(STARTS)}${many(6, () => pick(PIECES)).join('')}${chance(0.2) ? '?a=%2e%2e/../admin' : ''}`
  return chance(0.97) && !text.startsWith('/') ? `/${text}` : text
}

function host({ chance, pick }: Random): string {
  return chance(0.8) ? APP : pick(OTHER_HOSTS)
}

function target(random: Random): string {
  const { chance, pick } = random
  if (chance(0.86)) return path(random)
  if (chance(0.8)) return `${pick(SCHEMES)}://${host(random)}${path(random)}`
  return pick(['*', APP, `${APP}:443`, '', '/'])
}

function header({ chance, pick, many }: Random): string {
  if (chance(0.4)) {
    const name = pick(STRIPPED)
    return `${chance(0.6) ? name : name.replace(/-/g, () => (chance(0.5) ? pick(ODD) : '-'))}: forged`
  }
  const kind = pick(['connection', 'target', 'target', 'other', 'other', 'framing', 'broken'])
  if (kind === 'connection') return `Connection: ${many(4, () => pick(NAMED_IN_CONNECTION)).join(', ')}`
  return pick({ target: TARGETS, other: OTHERS, framing: FRAMING, broken: BROKEN }[kind] ?? OTHERS)
}

function cookies({ chance, pick }: Random, own: string): string[] {
  const text = `${pick(OTHER_COOKIES)}${own}`
  if (text === '') return []
  return chance(0.1) ? text.split('; ').map((pair) => `Cookie: ${pair}`) : [`Cookie: ${text}`]
}

/** Another request, where a body or nothing at all is expected. */
function hidden(id: string): string {
  return `GET /admin/hidden HTTP/1.1\r\nHost: ${APP}\r\nX-Fuzz: ${id}-hidden\r\n\r\n`
}

function body({ pick }: Random, id: string): string {
  const chunked = [`0\r\n\r\n${hidden(id)}`, `5\r\nx=y&z\r\n0\r\n\r\n${hidden(id)}`]
  return pick(['', '', '', 'x=y&z', ...chunked, hidden(id)])
}
