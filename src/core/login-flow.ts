// One sign-in in one tab, without a server-side record: what must survive the trip to Entra is sealed in `state`, and
// one small cookie binds all flows of a browser to it (RFC 9700 section 4.7: CSRF; section 2.1.1: PKCE and nonce).
// Nonce and verifier are derived, so twenty tabs cost no more cookie than one.
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { equalInConstantTime } from './constant-time.js'
import { GatehouseError } from './errors.js'
import type { StepUp } from './step-up.js'

export const FLOW_LIFETIME_MS = 10 * 60_000

/** A chain of sign-ins for one return address, each begun after the one before had completed (http/rounds.ts). */
export interface Round {
  readonly count: number
  /** When the first of them began; milliseconds since 1970. */
  readonly firstAt: number
}

/** The facts with which a flow begins; its state carries them. */
export interface FlowFacts {
  /** Where to go when signed in; validated when the flow began. The front page of its host, where `addressStored`. */
  readonly returnTo: string
  /** The address itself is too long for the state and is stored on the server under the flow's id. */
  readonly addressStored: boolean
  /** The second attempt, after a failure that a new sign-in can resolve. */
  readonly retry: boolean
  /** Gatehouse began it in place of a flow that this browser could not complete. */
  readonly restarted: boolean
  /** Id of the flow that a request to /oauth2/start began: its own, or that of the one which this one continues. */
  readonly chain: string
  /** The user asked to choose another account (`prompt=select_account`). */
  readonly selectAccount: boolean
  /** Of the session that the browser had when it began; undefined: none. */
  readonly session: string | undefined
  readonly round: Round
  /** When it began: milliseconds since 1970. */
  readonly beganAt: number
  /** Entra ID must authenticate the user anew; undefined: an ordinary sign-in. */
  readonly stepUp: StepUp | undefined
}

/** Of a flow that this browser may complete. */
export interface Flow extends FlowFacts {
  readonly id: string
  readonly nonce: string
  readonly codeVerifier: string
}

/** A genuine state: of a flow that this browser may complete, or of one that it may not, with the reason. */
export type OpenedFlow =
  | { readonly fault: undefined, readonly flow: Flow }
  | { readonly fault: 'state_other_browser' | 'state_expired', readonly flow: FlowFacts & { readonly id: string } }

export type NewFlow = Pick<FlowFacts, 'returnTo'> & Partial<Omit<FlowFacts, 'returnTo' | 'beganAt'>>

export interface FlowSealer {
  /** @param binding value of the cookie that ties the flow to this browser */
  begin(flow: NewFlow, binding: string): { readonly flow: Flow, readonly state: string }
  /** @param bindingOf value of that cookie, as the browser sent it @throws `state_invalid` */
  open(
    state: string,
    bindingOf: (flow: { readonly id: string, readonly restarted: boolean }) => string | undefined,
  ): OpenedFlow
  /** @returns the id of the flow, of this browser or of another; undefined where the state is not genuine */
  idOf(state: string): string | undefined
  /** @returns the chain of a flow that has not expired; undefined where it has, or where the state is not genuine */
  chainOf(state: string): string | undefined
}

/** i: id, r: return address, t: when it began, b: fingerprint of the binding, o: chain; the rest is of FlowFacts. */
interface Sealed {
  readonly i: string
  readonly r: string
  readonly t: number
  readonly b: string
  readonly a?: 1
  readonly n?: 1
  readonly o?: string
  readonly p?: 1
  readonly k?: 1
  readonly s?: string
  readonly c?: number
  readonly f?: number
  readonly u?: StepUp
}
interface Keys {
  readonly seal: Buffer
  readonly derive: Buffer
}

const STATE_INVALID = 'If this repeats, replicas differ in session.secrets, or a secret was removed while sign-ins ' +
  'were under way: compare it on all replicas, and remove an old secret ten minutes after the new one is in force.'

export function newBinding(): string {
  return randomBytes(32).toString('base64url')
}

/**
 * A binding is exactly 32 bytes of canonical base64url: Node's decoder is lenient, so it is encoded again and compared.
 */
export function isBinding(value: string | undefined): value is string {
  return (
    value !== undefined && /^[\w-]{43}$/.test(value) && Buffer.from(value, 'base64url').toString('base64url') === value
  )
}

/** What the store remembers of a flow that made a session. */
export function flowHash(flow: { readonly id: string }): Buffer {
  return createHash('sha256').update(`flow:${flow.id}`).digest()
}

/**
 * @param secrets the session secrets: the first seals, all open (rotation) @param now milliseconds since 1970
 * @param unknown called for a state that none of them sealed
 */
export function createFlowSealer(
  secrets: readonly string[],
  now: () => number = Date.now,
  unknown: () => void = () => {},
): FlowSealer {
  const keys = secrets.map(deriveKeys)
  const find = (state: string): [Sealed, Keys] | undefined => {
    for (const key of keys) { // guard: adv-rotation-sign-in
      const sealed = unseal(state, key)
      if (sealed) return [sealed, key]
    }
    return undefined
  }
  return {
    begin(flow, binding) {
      const key = keys[0]
      if (!key) throw new Error('at least one session secret is needed')
      const sealed = sealedOf(flow, binding, now())
      return { flow: flowOf(sealed, binding, key), state: seal(sealed, key) }
    },
    open(state, bindingOf) {
      const [sealed, key] = find(state) ?? []
      if (!sealed || !key) {
        unknown()
        throw new GatehouseError('state_invalid', { remedy: STATE_INVALID })
      }
      const binding = bindingOf({ id: sealed.i, restarted: sealed.n === 1 })
      // guard: adv-expired-restarted
      if (isExpired(sealed, now())) return { fault: 'state_expired', flow: factsOf(sealed) }
      // guard: adv-stray-binding, security-state-bound
      if (!isBinding(binding) || !equalInConstantTime(fingerprint(binding), sealed.b)) {
        return { fault: 'state_other_browser', flow: factsOf(sealed) }
      }
      return { fault: undefined, flow: flowOf(sealed, binding, key) }
    },
    idOf: (state) => find(state)?.[0].i,
    chainOf(state) {
      const [sealed] = find(state) ?? []
      // guard: adv-expired-limited
      return sealed === undefined || isExpired(sealed, now()) ? undefined : factsOf(sealed).chain
    },
  }
}

function isExpired({ t: beganAt }: Sealed, at: number): boolean {
  return Math.abs(at - beganAt) > FLOW_LIFETIME_MS
}

function sealedOf(wanted: NewFlow, binding: string, at: number): Sealed {
  const { returnTo, retry, restarted, chain, selectAccount, addressStored, session, round, stepUp } = wanted
  return {
    i: randomBytes(16).toString('base64url'),
    r: returnTo,
    t: at,
    b: fingerprint(binding),
    ...(retry ? { a: 1 as const } : {}),
    ...(restarted ? { n: 1 as const } : {}),
    ...(chain === undefined ? {} : { o: chain }),
    ...(selectAccount ? { p: 1 as const } : {}),
    ...(addressStored ? { k: 1 as const } : {}),
    ...(session === undefined ? {} : { s: session }),
    ...(round === undefined || round.count === 1 ? {} : { c: round.count, f: round.firstAt }),
    ...(stepUp === undefined ? {} : { u: stepUp }),
  }
}

function factsOf(sealed: Sealed): FlowFacts & { readonly id: string } {
  return {
    id: sealed.i,
    returnTo: sealed.r,
    addressStored: sealed.k === 1,
    retry: sealed.a === 1,
    restarted: sealed.n === 1,
    chain: sealed.o ?? sealed.i,
    selectAccount: sealed.p === 1,
    session: sealed.s,
    round: { count: sealed.c ?? 1, firstAt: sealed.f ?? sealed.t },
    beganAt: sealed.t,
    stepUp: sealed.u,
  }
}

function flowOf(sealed: Sealed, binding: string, key: Keys): Flow {
  return {
    ...factsOf(sealed),
    nonce: derive(key, 'nonce', sealed.i, binding),
    codeVerifier: derive(key, 'verifier', sealed.i, binding), // guard: security-pkce
  }
}

function deriveKeys(secret: string): Keys {
  const key = (purpose: string) => Buffer.from(hkdfSync('sha256', secret, 'gatehouse', `flow ${purpose}`, 32))
  return { seal: key('seal'), derive: key('derive') }
}

function derive(key: Keys, purpose: string, id: string, binding: string): string {
  return createHmac('sha256', key.derive).update(`${purpose}\n${id}\n${binding}`).digest('base64url')
}

function fingerprint(binding: string): string {
  return createHash('sha256').update(`binding:${binding}`).digest('base64url')
}

function seal(sealed: Sealed, key: Keys): string {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key.seal, iv)
  return Buffer.concat([
    iv,
    cipher.update(JSON.stringify(sealed), 'utf8'),
    cipher.final(),
    cipher.getAuthTag(),
  ]).toString('base64url')
}

function unseal(state: string, key: Keys): Sealed | undefined {
  const bytes = Buffer.from(state, 'base64url')
  if (bytes.length < 29 || bytes.toString('base64url') !== state) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key.seal, bytes.subarray(0, 12), { authTagLength: 16 })
  decipher.setAuthTag(bytes.subarray(-16))
  try {
    return JSON.parse(
      Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('utf8'),
    ) as Sealed
  } catch {
    return undefined // not sealed with this key
  }
}
