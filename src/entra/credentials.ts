// Client authentication at the token endpoint: a client secret, an assertion signed with the key of a registered
// certificate, or the token of a workload identity. Files are read for every request: they rotate without a restart.
import { createHash, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { SignJWT } from 'jose'
import { readClientCertificate } from '../core/client-certificate.js'
import { GatehouseError } from '../core/errors.js'

export interface ClientCredential {
  /** Form parameters of one token request. Never logged. @throws `entra_credential_unusable` */
  parameters(): Promise<Readonly<Record<string, string>>>
}

/** Exactly one of the three is given. */
export interface CredentialSettings {
  readonly clientSecret: string | undefined
  readonly certificate:
    | { readonly keyFile: string, readonly certFile: string, readonly algorithm: 'PS256' | 'RS256' }
    | undefined
  readonly federatedTokenFile: string | undefined
}

export interface CredentialOptions {
  readonly clientId: string
  /** The audience of an assertion. */
  readonly tokenEndpoint: string
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' // RFC 7523 section 2.2
const LIFETIME_S = 600
const MAX_TOKEN = 64 * 1024

/** @param settings the settings in force: a secret may have been rotated */
export function createClientCredential(
  settings: () => CredentialSettings,
  options: CredentialOptions,
): ClientCredential {
  return {
    async parameters() {
      const { clientSecret, certificate, federatedTokenFile } = settings()
      if (certificate) return assertion(await signedAssertion(certificate, options))
      if (federatedTokenFile !== undefined) return assertion(await federatedToken(federatedTokenFile))
      return { client_secret: clientSecret ?? '' }
    },
  }
}

function assertion(token: string): Readonly<Record<string, string>> {
  return { client_assertion_type: ASSERTION_TYPE, client_assertion: token }
}

/** learn.microsoft.com, "Microsoft identity platform application authentication certificate credentials". */
async function signedAssertion(
  { keyFile, certFile, algorithm }: NonNullable<CredentialSettings['certificate']>,
  { clientId, tokenEndpoint, now = Date.now }: CredentialOptions,
): Promise<string> {
  const pair = readClientCertificate(
    await fileText(keyFile, 'entra.certificate.keyFile'),
    await fileText(certFile, 'entra.certificate.certFile'),
  )
  if ('code' in pair) throw unusable(`entra.certificate.${pair.at} ${pair.problem}`, pair.remedy)
  const thumbprint = (hash: 'sha1' | 'sha256') => createHash(hash).update(pair.certificate.raw).digest('base64url')
  const issuedAt = Math.floor(now() / 1000)
  return await new SignJWT()
    .setProtectedHeader({
      alg: algorithm,
      typ: 'JWT',
      ...(algorithm === 'PS256' ? { 'x5t#S256': thumbprint('sha256') } : { x5t: thumbprint('sha1') }),
    })
    .setIssuer(clientId).setSubject(clientId).setAudience(tokenEndpoint).setJti(randomUUID())
    .setIssuedAt(issuedAt).setNotBefore(issuedAt).setExpirationTime(issuedAt + LIFETIME_S)
    .sign(pair.key)
}

/** learn.microsoft.com, "Workload identity federation": the kubelet writes a new token well before the old one ends. */
async function federatedToken(file: string): Promise<string> {
  const token = (await fileText(file, 'entra.federatedTokenFile')).trim()
  if (token.length > MAX_TOKEN || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) {
    throw unusable(
      'the file of entra.federatedTokenFile contains no token',
      'It must hold one JWT, as the projected service account token of a pod does.',
    )
  }
  return token
}

async function fileText(file: string, key: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no reason given'
    throw unusable(
      `the file of ${key} cannot be read (${reason})`,
      `Check that ${file} is there, and that the user that runs Gatehouse may read it.`,
      cause,
    )
  }
}

function unusable(detail: string, remedy: string, cause?: unknown): GatehouseError {
  return new GatehouseError('entra_credential_unusable', { detail, remedy, ...(cause === undefined ? {} : { cause }) })
}
