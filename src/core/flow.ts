// One sign-in in one tab, without a server-side record: what must survive the trip to Entra is sealed in `state`, and
// one small cookie binds all flows of a browser to it (RFC 9700 section 4.7: CSRF; section 2.1.1: PKCE and nonce).
// Nonce and verifier are derived, so twenty tabs cost no more cookie than one.
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { equalInConstantTime } from './constant-time.js'
import { GatehouseError } from './errors.js'

export const FLOW_LIFETIME_MS = 10 * 60_000

export interface Flow {
  readonly id: string
  /** Where to go when signed in; validated when the flow began. */
  readonly returnTo: string
  readonly nonce: string
  readonly codeVerifier: string
  /** The second try after a failure that signing in again may mend. */
  readonly again: boolean
}

export interface FlowSealer {
  /** @param binding value of the browser-binding cookie */
  begin(returnTo: string, binding: string, again?: boolean): { readonly flow: Flow, readonly state: string }
  /** @throws `state_invalid`, `state_other_browser`, `state_expired` */
  open(state: string, binding: string | undefined): Flow
}

interface Sealed { readonly i: string, readonly r: string, readonly t: number, readonly b: string, readonly a?: 1 }
interface Keys { readonly seal: Buffer, readonly derive: Buffer }

export function newBinding(): string {
  return randomBytes(32).toString('base64url')
}

/** A binding is exactly 32 bytes of canonical base64url: Node's decoder is lenient, so it is encoded again and compared. */
export function isBinding(value: string | undefined): value is string {
  return value !== undefined && /^[\w-]{43}$/.test(value) && Buffer.from(value, 'base64url').toString('base64url') === value
}

/** What the store remembers of a flow that made a session. */
export function flowHash(flow: Flow): Buffer {
  return createHash('sha256').update(`flow:${flow.id}`).digest()
}

/**
 * @param secrets the session secrets: the first seals, all open (rotation) @param now milliseconds since 1970
 * @param unknown is told of a state that none of them sealed
 */
export function createFlowSealer(secrets: readonly string[], now: () => number = Date.now, unknown: () => void = () => {}): FlowSealer {
  const keys = secrets.map(deriveKeys)
  const flowOf = (sealed: Sealed, binding: string, key: Keys): Flow => ({
    id: sealed.i,
    returnTo: sealed.r,
    nonce: derive(key, 'nonce', sealed.i, binding),
    codeVerifier: derive(key, 'verifier', sealed.i, binding),
    again: sealed.a === 1,
  })
  return {
    begin(returnTo, binding, again = false) {
      const key = keys[0]
      if (!key) throw new Error('at least one session secret is needed')
      const sealed = { i: randomBytes(16).toString('base64url'), r: returnTo, t: now(), b: fingerprint(binding), ...(again ? { a: 1 as const } : {}) }
      return { flow: flowOf(sealed, binding, key), state: seal(sealed, key) }
    },
    open(state, binding) {
      for (const key of keys) {
        const sealed = unseal(state, key)
        if (!sealed) continue
        if (!isBinding(binding) || !equalInConstantTime(fingerprint(binding), sealed.b)) throw new GatehouseError('state_other_browser', { detail: binding === undefined ? 'no binding cookie came back' : 'the binding cookie is not the one the flow began with' })
        if (now() - sealed.t > FLOW_LIFETIME_MS || sealed.t - now() > FLOW_LIFETIME_MS) throw new GatehouseError('state_expired')
        return flowOf(sealed, binding, key)
      }
      unknown()
      throw new GatehouseError('state_invalid')
    },
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
  return Buffer.concat([iv, cipher.update(JSON.stringify(sealed), 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

function unseal(state: string, key: Keys): Sealed | undefined {
  const bytes = Buffer.from(state, 'base64url')
  if (bytes.length < 29 || bytes.toString('base64url') !== state) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key.seal, bytes.subarray(0, 12), { authTagLength: 16 })
  decipher.setAuthTag(bytes.subarray(-16))
  try {
    return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('utf8')) as Sealed
  } catch {
    return undefined // not sealed with this key
  }
}
