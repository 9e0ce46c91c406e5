// The headers of a 200, made once for what a session says to one application and kept with the session in memory: for a
// hundred thousand people that is most of what the process holds, so each value is kept once and the names not at all.
import {
  ASSERTION_HEADER,
  headerDefinitions,
  identityHeaders,
  type HeaderDefinition,
  type IdentityHeaderSettings,
} from '../../core/identity-headers.js'
import { copyOf } from '../../core/latin1.js'
import type { SessionRecord } from '../../core/session.js'
import type { CachedSession } from '../../core/session-cache.js'
import type { AssertionSigner, TokenPieces } from '../assertion-signer.js'

/** All headers of a 200, names and values in turn, as node:http writes them. */
export type FlatHeaders = readonly string[]

export interface CompiledHeaders {
  readonly definitions: readonly HeaderDefinition[]
  readonly withAssertion: boolean
  readonly maxBytes: number
  /** Everything but the values. */
  readonly form: FlatHeaders
  /** Which definitions' values differ, and which of these each definition's is. */
  readonly distinct: readonly number[]
  readonly places: readonly number[]
}

/** What every answer without a body bears besides. */
export const EVERY_ANSWER: FlatHeaders = ['Cache-Control', 'no-store', 'Vary', 'Cookie', 'Content-Length', '0']
const FIRST = EVERY_ANSWER.length + 1
const MOST_HOSTS = 16
const CAPACITY = 300_000
/** Of the five minutes for which applications accept it: more than one is always left. */
const REUSED_SECONDS = 225

export function compileHeaders(settings: IdentityHeaderSettings): CompiledHeaders {
  const definitions = headerDefinitions(settings)
  const withAssertion = settings.families.includes('assertion')
  const says = definitions.map(({ value, separator, encoding }) => `${value} ${encoding} ${separator}`)
  const distinct = says.flatMap((each, index) => says.indexOf(each) === index ? [index] : [])
  const names = [...definitions.map(({ name }) => name), ...withAssertion ? [ASSERTION_HEADER] : []]
  return {
    definitions,
    withAssertion,
    maxBytes: settings.maxBytes,
    distinct,
    form: [...EVERY_ANSWER, ...names.flatMap((name) => [name, ''])],
    places: says.map((each) => distinct.indexOf(says.indexOf(each))),
  }
}

/** What one session says to one application. */
interface Said {
  readonly compiled: CompiledHeaders
  readonly hostname: string | undefined
  /** Of the key that signed. */
  readonly kid: string
  /** Seconds since 1970. */
  readonly until: number
  /** What differs from one session to another, and the assertion in its two pieces. */
  readonly values: readonly string[]
  readonly shared: string
  readonly own: string
  /** To another application. */
  next: Said | undefined
}

export interface IdentityHeaderCache {
  /** The assertion is empty for nobody, and where nobody can say whom it is for. @throws `identity_too_large` */
  get(
    session: SessionRecord | undefined,
    cached: CachedSession | undefined,
    hostname: string | undefined,
    compiled: CompiledHeaders,
  ): FlatHeaders
  /** All of them empty or `false`. */
  anonymous(compiled: CompiledHeaders): FlatHeaders
  /** What was made before and still holds. */
  getCached(cached: CachedSession, hostname: string | undefined, compiled: CompiledHeaders): FlatHeaders | undefined
}

export interface IdentityHeaderCacheDeps {
  readonly signer: AssertionSigner
  /** How many are kept, over all sessions and applications. */
  readonly capacity?: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export function createIdentityHeaderCache(
  { signer, capacity = CAPACITY, now = Date.now }: IdentityHeaderCacheDeps,
): IdentityHeaderCache {
  const shared = sharedStrings()
  const note = dropping(capacity)
  const valuesOf = (
    session: SessionRecord | undefined,
    compiled: CompiledHeaders,
    token: TokenPieces,
  ): readonly string[] => {
    const pairs = identityHeaders(
      session,
      compiled.definitions,
      compiled.withAssertion ? token.join('') : undefined,
      compiled.maxBytes,
    )
    return compiled.distinct.map((index) => {
      const text = pairs[index]?.[1] ?? ''
      return LISTS.has(compiled.definitions[index]?.value) ? shared(text) : text
    })
  }
  /**
   * @param before said to the same application by the same session, when it is only to be signed anew: as long as it
   * was, too
   */
  const say = (
    session: SessionRecord | undefined,
    hostname: string | undefined,
    compiled: CompiledHeaders,
    before?: Said,
  ): Said => {
    const pieces: TokenPieces = compiled.withAssertion && session !== undefined && hostname !== undefined
      ? signer.assertion(session, hostname)
      : ['', '']
    const values = before?.values ?? valuesOf(session, compiled, pieces)
    return {
      compiled,
      hostname,
      kid: kidFor(compiled),
      until: secondsNow() + REUSED_SECONDS,
      values,
      shared: shared(pieces[0]),
      own: copyOf(pieces[1]),
      next: undefined,
    }
  }
  const prepare = (
    session: SessionRecord,
    cached: CachedSession,
    hostname: string | undefined,
    compiled: CompiledHeaders,
  ): Said => {
    const all = everythingSaid(cached)
    const said = say(
      session,
      hostname,
      compiled,
      all.find((each) => each.hostname === hostname && each.compiled === compiled && each.kid === kidFor(compiled)),
    )
    const others = all.filter((each) => each.hostname !== hostname && holds(each, compiled, said.kid, secondsNow()))
    cached.prepared = chained([said, ...others.slice(0, MOST_HOSTS - 1)])
    note(cached, secondsNow())
    return said
  }
  const find = (cached: CachedSession, hostname: string | undefined, compiled: CompiledHeaders): Said | undefined => {
    const [kid, seconds] = [kidFor(compiled), secondsNow()]
    for (let said = lastSaid(cached); said !== undefined; said = said.next) {
      if (said.hostname === hostname && holds(said, compiled, kid, seconds)) return said // guard: live-one-application
    }
    return undefined
  }
  const kidFor = (compiled: CompiledHeaders): string => compiled.withAssertion ? signer.kid() : ''
  const secondsNow = (): number => Math.floor(now() / 1000)
  return {
    get(session, cached, hostname, compiled) {
      if (session === undefined || cached === undefined) return filled(say(session, hostname, compiled))
      return filled(find(cached, hostname, compiled) ?? prepare(session, cached, hostname, compiled))
    },
    anonymous: (compiled) => filled(say(undefined, undefined, compiled)),
    getCached(cached, hostname, compiled) {
      const said = find(cached, hostname, compiled)
      return said && filled(said)
    },
  }
}

function lastSaid({ prepared }: CachedSession): Said | undefined {
  return prepared as Said | undefined
}

function everythingSaid(cached: CachedSession): Said[] {
  const all: Said[] = []
  for (let said = lastSaid(cached); said !== undefined; said = said.next) all.push(said)
  return all
}

/** A list takes less memory, and fewer looks at it, than an array of one. */
function chained(all: readonly Said[]): Said | undefined {
  return all.reduceRight<Said | undefined>((next, said) => Object.assign(said, { next }), undefined)
}

/** Not where the clock was turned back, either. */
function holds({ compiled, kid, until }: Said, inForce: CompiledHeaders, signing: string, seconds: number): boolean {
  // guard: live-withdrawn-key, live-clock-back
  return compiled === inForce && kid === signing && until > seconds && until <= seconds + REUSED_SECONDS
}

function filled({ compiled: { form, places, withAssertion }, values, shared, own }: Said): FlatHeaders {
  const headers = form.slice()
  for (let index = 0; index < places.length; index++) headers[FIRST + 2 * index] = values[places[index] ?? 0] ?? ''
  if (withAssertion) headers[FIRST + 2 * places.length] = shared + own
  return headers
}

/**
 * Drops what was made for sessions once none of it holds any more: people leave, and their sessions stay for hours.
 * Those that were noted in one stretch are looked at when the next one ends; where there are too many, that is earlier,
 * and all of theirs goes.
 */
function dropping(capacity: number): (cached: CachedSession, seconds: number) => void {
  let young: CachedSession[] = []
  let old: CachedSession[] = []
  let ends = 0
  return (cached, seconds) => {
    const tooMany = young.length >= capacity / 2
    if (tooMany || seconds >= ends) {
      // guard: live-prepared-dropped
      for (const each of old) if (tooMany || (lastSaid(each)?.until ?? 0) <= seconds) each.prepared = undefined
      old = young
      young = []
      ends = seconds + REUSED_SECONDS
    }
    young.push(cached)
  }
}

const LISTS: ReadonlySet<string | undefined> = new Set(['groups', 'permissions'])
const MOST_SHARED = 20_000

/** One copy for all who are in the same groups or ask for the same application. */
function sharedStrings(): (text: string) => string {
  let strings = new Map<string, string>()
  return (text) => {
    const known = strings.get(text)
    if (known !== undefined) return known
    if (strings.size >= MOST_SHARED) strings = new Map()
    const made = copyOf(text)
    strings.set(made, made)
    return made
  }
}
