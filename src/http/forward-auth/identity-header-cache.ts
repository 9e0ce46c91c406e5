// Caches the identity headers of a 200 with the cached session, one entry for each application that the session is used
// with. With a hundred thousand sessions these entries are most of the memory of the process, hence the layout below.
//
// `CachedSession.prepared`, which the session cache keeps and does not read, is the head of a singly linked list:
//   prepared -> { hostname: 'a.test', values, tokenStart, tokenEnd, next } -> { hostname: 'b.test', ... } -> undefined
// The list is in order of the last signature and has at most MAX_APPLICATIONS entries. An entry holds no header names
// (header-template.ts), each value once, and the assertion in two parts: the first part (issuer, audience, groups and
// permissions) is one string for all sessions with the same rights.
import { identityHeaders } from '../../core/identity-headers.js'
import { copyOf } from '../../core/latin1.js'
import type { SessionRecord } from '../../core/session.js'
import type { CachedSession } from '../../core/session-cache.js'
import type { AssertionSigner, TokenPieces } from '../assertion-signer.js'
import { applyValues, type CompiledHeaders, type FlatHeaders } from './header-template.js'

/** The headers of one session for one application. */
interface CachedHeaders {
  readonly compiled: CompiledHeaders
  readonly hostname: string | undefined
  /** Id of the key that signed the assertion. */
  readonly kid: string
  /** Seconds since 1970. */
  readonly validUntil: number
  /** One for each entry of `compiled.distinct`. */
  readonly values: readonly string[]
  readonly tokenStart: string
  readonly tokenEnd: string
  /** The entry of another application. */
  next: CachedHeaders | undefined
}

export interface IdentityHeaderCache {
  /**
   * The assertion is empty without a session and without a hostname, which is its audience.
   * @throws `identity_too_large`
   */
  get(
    session: SessionRecord | undefined,
    cached: CachedSession | undefined,
    hostname: string | undefined,
    compiled: CompiledHeaders,
  ): FlatHeaders
  /** The headers of an anonymous request: every value is empty or `false`. */
  anonymous(compiled: CompiledHeaders): FlatHeaders
  /** The headers from the cache; undefined if there is no valid entry. */
  getCached(cached: CachedSession, hostname: string | undefined, compiled: CompiledHeaders): FlatHeaders | undefined
}

export interface IdentityHeaderCacheDeps {
  readonly signer: AssertionSigner
  /** Maximum number of entries, over all sessions and applications. */
  readonly capacity: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

const MAX_APPLICATIONS = 16
/** An assertion is valid for five minutes, so that an application receives it with more than one minute left. */
const REUSED_SECONDS = 225

export function createIdentityHeaderCache(
  { signer, capacity, now = Date.now }: IdentityHeaderCacheDeps,
): IdentityHeaderCache {
  const secondsNow = (): number => Math.floor(now() / 1000)
  const kidFor = (compiled: CompiledHeaders): string => compiled.withAssertion ? signer.kid() : ''
  const createEntry = createEntryFactory({ signer, kidFor, secondsNow })
  const evictLater = createEviction(capacity)
  const find = (cached: CachedSession, hostname: string | undefined, compiled: CompiledHeaders) =>
    findValid(cached, hostname, compiled, kidFor(compiled), secondsNow())
  const add = (
    session: SessionRecord,
    cached: CachedSession,
    hostname: string | undefined,
    compiled: CompiledHeaders,
  ): CachedHeaders => {
    const entries = allEntries(cached)
    const expired = entries.find((each) =>
      each.hostname === hostname && each.compiled === compiled && each.kid === kidFor(compiled)
    )
    const entry = createEntry(session, hostname, compiled, expired)
    const others = entries.filter((each) =>
      each.hostname !== hostname && isValid(each, compiled, entry.kid, secondsNow())
    )
    cached.prepared = linkedList([entry, ...others.slice(0, MAX_APPLICATIONS - 1)])
    evictLater(cached, secondsNow())
    return entry
  }
  return {
    get(session, cached, hostname, compiled) {
      if (session === undefined || cached === undefined) return headersOf(createEntry(session, hostname, compiled))
      return headersOf(find(cached, hostname, compiled) ?? add(session, cached, hostname, compiled))
    },
    anonymous: (compiled) => headersOf(createEntry(undefined, undefined, compiled)),
    getCached(cached, hostname, compiled) {
      const entry = find(cached, hostname, compiled)
      return entry && headersOf(entry)
    },
  }
}

function findValid(
  cached: CachedSession,
  hostname: string | undefined,
  compiled: CompiledHeaders,
  kid: string,
  seconds: number,
): CachedHeaders | undefined {
  for (let entry = latest(cached); entry !== undefined; entry = entry.next) {
    // guard: live-one-application
    if (entry.hostname === hostname && isValid(entry, compiled, kid, seconds)) return entry
  }
  return undefined
}

function latest({ prepared }: CachedSession): CachedHeaders | undefined {
  return prepared as CachedHeaders | undefined
}

function allEntries(cached: CachedSession): CachedHeaders[] {
  const entries: CachedHeaders[] = []
  for (let entry = latest(cached); entry !== undefined; entry = entry.next) entries.push(entry)
  return entries
}

function linkedList(entries: readonly CachedHeaders[]): CachedHeaders | undefined {
  return entries.reduceRight<CachedHeaders | undefined>((next, entry) => Object.assign(entry, { next }), undefined)
}

/** The second bound on the time rejects entries from before the clock was set back. */
function isValid({ compiled, kid, validUntil }: CachedHeaders, current: CompiledHeaders, signing: string, now: number) {
  // guard: live-withdrawn-key, live-clock-back
  return compiled === current && kid === signing && validUntil > now && validUntil <= now + REUSED_SECONDS
}

function headersOf({ compiled, values, tokenStart, tokenEnd }: CachedHeaders): FlatHeaders {
  return applyValues(compiled, values, tokenStart + tokenEnd)
}

interface EntryFactoryDeps {
  readonly signer: AssertionSigner
  readonly kidFor: (compiled: CompiledHeaders) => string
  readonly secondsNow: () => number
}

function createEntryFactory({ signer, kidFor, secondsNow }: EntryFactoryDeps) {
  const shared = createSharedStrings()
  const valuesOf = (session: SessionRecord | undefined, compiled: CompiledHeaders, token: TokenPieces): string[] => {
    const assertion = compiled.withAssertion ? token.join('') : undefined
    const pairs = identityHeaders(session, compiled.definitions, assertion, compiled.maxBytes)
    return compiled.distinct.map((index) => {
      const text = pairs[index]?.[1] ?? ''
      return LISTS.has(compiled.definitions[index]?.value) ? shared(text) : text
    })
  }
  /**
   * @param expired an entry that differs in its time alone. Its values are reused; their size was checked, and the new
   *   assertion has the same length
   */
  return (
    session: SessionRecord | undefined,
    hostname: string | undefined,
    compiled: CompiledHeaders,
    expired?: CachedHeaders,
  ): CachedHeaders => {
    const token: TokenPieces = compiled.withAssertion && session !== undefined && hostname !== undefined
      ? signer.assertion(session, hostname)
      : ['', '']
    return {
      compiled,
      hostname,
      values: expired?.values ?? valuesOf(session, compiled, token),
      kid: kidFor(compiled),
      validUntil: secondsNow() + REUSED_SECONDS,
      tokenStart: shared(token[0]),
      tokenEnd: copyOf(token[1]),
      next: undefined,
    }
  }
}

/**
 * Evicts a session's entries when none of them is valid any more, because a session stays cached for hours after its
 * user has left. Sessions are collected in generations of REUSED_SECONDS; the entries of a generation are checked when
 * the next one ends. A generation that reaches half of the capacity ends early, and all entries of the one before are
 * evicted.
 */
function createEviction(capacity: number): (cached: CachedSession, seconds: number) => void {
  let young: CachedSession[] = []
  let old: CachedSession[] = []
  let generationEnd = 0
  return (cached, seconds) => {
    const full = young.length >= capacity / 2
    if (full || seconds >= generationEnd) {
      for (const each of old) {
        // guard: live-prepared-dropped
        if (full || (latest(each)?.validUntil ?? 0) <= seconds) each.prepared = undefined
      }
      old = young
      young = []
      generationEnd = seconds + REUSED_SECONDS
    }
    young.push(cached)
  }
}

const LISTS: ReadonlySet<string | undefined> = new Set(['groups', 'permissions'])
const MAX_SHARED_STRINGS = 20_000

/** One copy for all sessions with the same groups or the same application. */
function createSharedStrings(): (text: string) => string {
  let strings = new Map<string, string>()
  return (text) => {
    const known = strings.get(text)
    if (known !== undefined) return known
    if (strings.size >= MAX_SHARED_STRINGS) strings = new Map()
    const made = copyOf(text)
    strings.set(made, made)
    return made
  }
}
