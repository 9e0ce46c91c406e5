// The headers of a 200, made once for what a session says to one application and kept with the session in memory: for a hundred
// thousand people that is most of what the process holds, so each value is kept once and the names not at all.
import { ASSERTION_HEADER, headerDefinitions, identityHeaders, type HeaderDefinition, type IdentityHeaderSettings } from '../core/identity-headers.js'
import type { SessionRecord } from '../core/session.js'
import type { CachedSession } from '../core/session-cache.js'
import type { AssertionSigner, TokenPieces } from './assertion-signer.js'

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

/** What every 200 bears besides. */
const ALLOWED = ['Cache-Control', 'no-store', 'Vary', 'Cookie', 'Content-Length', '0']
const FIRST = ALLOWED.length + 1
const MOST_HOSTS = 16
/** Half of what applications accept it for. */
const REUSED_SECONDS = 150

export function compileHeaders(settings: IdentityHeaderSettings): CompiledHeaders {
  const definitions = headerDefinitions(settings)
  const withAssertion = settings.families.includes('assertion')
  const says = definitions.map(({ value, separator }) => `${value} ${separator}`)
  const distinct = says.flatMap((each, index) => says.indexOf(each) === index ? [index] : [])
  const names = [...definitions.map(({ name }) => name), ...withAssertion ? [ASSERTION_HEADER] : []]
  return {
    definitions, withAssertion, maxBytes: settings.maxBytes, distinct,
    form: [...ALLOWED, ...names.flatMap((name) => [name, ''])],
    places: says.map((each) => distinct.indexOf(says.indexOf(each))),
  }
}

/** What one session says to one application; others follow. */
interface Prepared {
  readonly compiled: CompiledHeaders
  readonly hostname: string | undefined
  /** Of the key that signed. */
  readonly kid: string
  /** Seconds since 1970. */
  readonly until: number
  said: Said | Promise<Said>
  next: Prepared | undefined
}

/** What differs from one session to another. */
interface Said { readonly values: readonly string[], readonly assertion: TokenPieces | undefined }

export interface PreparedHeaders {
  /** The assertion is empty for nobody, and where nobody can say whom it is for. @throws `identity_too_large`; also as a rejection */
  of(session: SessionRecord | undefined, cached: CachedSession | undefined, hostname: string | undefined, compiled: CompiledHeaders): FlatHeaders | Promise<FlatHeaders>
  /** All of them empty or `false`. */
  nobody(compiled: CompiledHeaders): FlatHeaders
  /** What was made before and still holds. */
  ready(cached: CachedSession, hostname: string | undefined, compiled: CompiledHeaders): FlatHeaders | undefined
}

/** @param now milliseconds since 1970 */
export function createPreparedHeaders({ signer, now = Date.now }: { readonly signer: AssertionSigner, readonly now?: () => number }): PreparedHeaders {
  const kept = sharedStrings()
  const saidOf = (session: SessionRecord | undefined, pieces: TokenPieces | undefined, compiled: CompiledHeaders): Said => {
    const pairs = identityHeaders(session, compiled.definitions, compiled.withAssertion ? pieces?.join('') ?? '' : undefined, compiled.maxBytes)
    return {
      values: compiled.distinct.map((index) => LISTS.has(compiled.definitions[index]?.value) ? kept.shared(pairs[index]?.[1] ?? '') : pairs[index]?.[1] ?? ''),
      assertion: pieces && [kept.shared(pieces[0]), kept.own(pieces[1])],
    }
  }
  const make = (session: SessionRecord | undefined, hostname: string | undefined, compiled: CompiledHeaders): Said | Promise<Said> => {
    const say = (pieces: TokenPieces | undefined): Said => saidOf(session, pieces, compiled)
    return compiled.withAssertion && session !== undefined && hostname !== undefined ? signer.assertion(session, hostname).then(say) : say(undefined)
  }
  const prepare = (session: SessionRecord, cached: CachedSession, hostname: string | undefined, compiled: CompiledHeaders, kid: string, seconds: number): FlatHeaders | Promise<FlatHeaders> => {
    const said = make(session, hostname, compiled)
    const entry: Prepared = { compiled, hostname, kid, until: seconds + REUSED_SECONDS, said, next: stillGood(cached.prepared as Prepared | undefined, compiled, kid, hostname, seconds) }
    cached.prepared = entry
    if (!(said instanceof Promise)) return filled(compiled, said)
    return said.then((made) => {
      entry.said = made
      return filled(compiled, made)
    }, (error: unknown) => {
      if (cached.prepared === entry) cached.prepared = entry.next
      throw error
    })
  }
  const find = (cached: CachedSession, hostname: string | undefined, compiled: CompiledHeaders, kid: string, seconds: number): Said | Promise<Said> | undefined => {
    for (let known = cached.prepared as Prepared | undefined; known !== undefined; known = known.next) {
      if (known.hostname === hostname && known.compiled === compiled && known.kid === kid && known.until > seconds) return known.said
    }
    return undefined
  }
  const kidFor = (compiled: CompiledHeaders): string => compiled.withAssertion ? signer.kid() : ''
  const secondsNow = (): number => Math.floor(now() / 1000)
  return {
    of(session, cached, hostname, compiled) {
      if (session === undefined || cached === undefined) return written(compiled, make(session, hostname, compiled))
      const [kid, seconds] = [kidFor(compiled), secondsNow()]
      const said = find(cached, hostname, compiled, kid, seconds)
      return said === undefined ? prepare(session, cached, hostname, compiled, kid, seconds) : written(compiled, said)
    },
    nobody: (compiled) => filled(compiled, saidOf(undefined, undefined, compiled)),
    ready(cached, hostname, compiled) {
      const said = find(cached, hostname, compiled, kidFor(compiled), secondsNow())
      return said === undefined || said instanceof Promise ? undefined : filled(compiled, said)
    },
  }
}

function written(compiled: CompiledHeaders, said: Said | Promise<Said>): FlatHeaders | Promise<FlatHeaders> {
  return said instanceof Promise ? said.then((made) => filled(compiled, made)) : filled(compiled, said)
}

function filled({ form, places, withAssertion }: CompiledHeaders, { values, assertion }: Said): FlatHeaders {
  const headers = form.slice()
  for (let index = 0; index < places.length; index++) headers[FIRST + 2 * index] = values[places[index] ?? 0] ?? ''
  if (withAssertion && assertion !== undefined) headers[FIRST + 2 * places.length] = assertion[0] + assertion[1]
  return headers
}

/** The others of a session, without those that are over and the one that is made anew. */
function stillGood(first: Prepared | undefined, compiled: CompiledHeaders, kid: string, hostname: string | undefined, seconds: number): Prepared | undefined {
  let kept: Prepared | undefined
  let count = 1
  for (let each = first; each !== undefined && count < MOST_HOSTS;) {
    const { next } = each
    if (each.compiled === compiled && each.kid === kid && each.hostname !== hostname && each.until > seconds) {
      each.next = kept
      kept = each
      count++
    }
    each = next
  }
  return kept
}

const LISTS: ReadonlySet<string | undefined> = new Set(['groups', 'permissions'])
const MOST_SHARED = 20_000

/** Flat strings of one byte a character: a part of another string would keep the whole of it in memory. */
function sharedStrings() {
  let strings = new Map<string, string>()
  const own = (text: string): string => Buffer.from(text, 'latin1').toString('latin1')
  return {
    own,
    /** One for all who are in the same groups or ask for the same application. */
    shared(text: string): string {
      const known = strings.get(text)
      if (known !== undefined) return known
      if (strings.size >= MOST_SHARED) strings = new Map()
      const made = own(text)
      strings.set(made, made)
      return made
    },
  }
}
