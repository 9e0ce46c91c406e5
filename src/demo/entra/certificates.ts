// X.509 certificates made on the spot: the x5c of the signing keys, and a private CA with a server certificate for TLS.
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { bits, boolean, integer, nothing, octets, oid, replaced, sequence, set, tagged, time, utf8 } from './der.js'

export interface KeyPair {
  publicKey: KeyObject
  privateKey: KeyObject
}
export interface Certificate {
  der: Buffer
  pem: string
  keys: KeyPair
}

interface Wish {
  name: string
  keys: KeyPair
  from: number
  until: number
  issuer?: { name: string, keys: KeyPair }
  ca?: boolean
  /** DNS names and IP addresses for subjectAltName. */
  hosts?: string[]
}

export const DAY = 86_400_000
const named = (name: string) => sequence(set(sequence(oid('2.5.4.3'), utf8(name))))
const algorithmOf = (key: KeyObject) =>
  key.asymmetricKeyType === 'rsa'
    ? sequence(oid('1.2.840.113549.1.1.11'), nothing()) // sha256WithRSAEncryption
    : sequence(oid('1.2.840.10045.4.3.2')) // ecdsa-with-SHA256

const extension = (id: string, critical: boolean, value: Uint8Array) =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value))

function ipBytes(host: string) {
  if (isIP(host) === 4) return Buffer.from(host.split('.').map(Number))
  const [head = '', tail = ''] = host.split('::')
  const groups = (part: string) => part.split(':').filter(Boolean).map((group) => parseInt(group, 16))
  const missing = 8 - groups(head).length - groups(tail).length
  const words = [...groups(head), ...new Array<number>(missing).fill(0), ...groups(tail)]
  return Buffer.from(words.flatMap((word) => [word >> 8, word & 0xff]))
}

const alternativeName = (host: string) => isIP(host) ? replaced(7, ipBytes(host)) : replaced(2, Buffer.from(host))
const keyIdentifier = (key: KeyObject) =>
  createHash('sha1').update(key.export({ type: 'spki', format: 'der' })).digest()

/** A certificate of RFC 5280, version 3; self-signed without `issuer`. Times in milliseconds since 1970. */
export function createCertificate(
  { name, keys, from, until, issuer = { name, keys }, ca = false, hosts = [] }: Wish,
): Certificate {
  const extensions = [
    extension('2.5.29.19', true, ca ? sequence(boolean(true)) : sequence()),
    // keyCertSign and cRLSign, or digitalSignature
    extension('2.5.29.15', true, ca ? bits(Buffer.of(0x06), 1) : bits(Buffer.of(0x80), 7)),
    extension('2.5.29.14', false, octets(keyIdentifier(keys.publicKey))),
    extension('2.5.29.35', false, sequence(replaced(0, keyIdentifier(issuer.keys.publicKey)))),
  ]
  if (hosts.length > 0) extensions.push(extension('2.5.29.17', false, sequence(...hosts.map(alternativeName))))
  const algorithm = algorithmOf(issuer.keys.privateKey)
  const body = sequence(
    tagged(0, integer(Buffer.of(2))),
    integer(randomBytes(16)),
    algorithm,
    named(issuer.name),
    sequence(time(new Date(from)), time(new Date(until))),
    named(name),
    keys.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(3, sequence(...extensions)),
  )
  const der = sequence(body, algorithm, bits(sign('sha256', body, issuer.keys.privateKey)))
  const pem = `-----BEGIN CERTIFICATE-----\n${
    der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  }\n-----END CERTIFICATE-----\n`
  return { der, pem, keys }
}

/**
 * A CA that exists for this process alone, and a server certificate from it; valid by the real clock, which TLS clients
 * go by.
 */
export function createServerIdentity(hosts: string[]) {
  const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const validity = { from: Date.now() - DAY, until: Date.now() + 365 * DAY }
  const issuer = { name: 'Simulated Entra ID CA', keys: pair() }
  const ca = createCertificate({ ...issuer, ...validity, ca: true })
  const server = createCertificate({ name: hosts[0] ?? 'localhost', keys: pair(), ...validity, hosts, issuer })
  return { caPem: ca.pem, cert: server.pem, key: server.keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) }
}
