// The key and the certificate by which Gatehouse authenticates to Entra ID: checked when the configuration is read and
// again at each use, since the files may be replaced while it runs.
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'

const MIN_BITS = 2048

export interface ClientCertificate {
  readonly key: KeyObject
  readonly certificate: X509Certificate
}

/** Why the two cannot be used; `at`: the file with the fault. */
export interface Unusable {
  readonly at: 'keyFile' | 'certFile'
  readonly code: string
  readonly problem: string
  readonly remedy: string
}

const ONE_PAIR =
  'openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj /CN=gatehouse -keyout key.pem -out cert.pem makes a ' +
  'pair that fits.'

/** @param certPem PEM; the first certificate of a chain is used */
export function readClientCertificate(keyPem: string, certPem: string): ClientCertificate | Unusable {
  if (/ENCRYPTED/.test(keyPem)) {
    return {
      at: 'keyFile',
      code: 'key_encrypted',
      problem: 'is protected by a passphrase',
      remedy:
        'Take the passphrase away (openssl pkey -in key.pem -out plain.pem) and protect the file instead: chmod 600.',
    }
  }
  const key = parsed(() => createPrivateKey(keyPem))
  if (!key) {
    return { at: 'keyFile', code: 'key_unreadable', problem: 'holds no private key in PEM form', remedy: ONE_PAIR }
  }
  if (key.asymmetricKeyType !== 'rsa' || (key.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_BITS) {
    return {
      at: 'keyFile',
      code: 'key_unsuitable',
      problem: `is not an RSA key of at least ${MIN_BITS} bits`,
      remedy: `Entra ID takes no other for PS256 and RS256. ${ONE_PAIR}`,
    }
  }
  const certificate = parsed(() => new X509Certificate(certPem))
  if (!certificate) {
    return {
      at: 'certFile',
      code: 'certificate_unreadable',
      problem: 'holds no certificate in PEM form',
      remedy: ONE_PAIR,
    }
  }
  if (!certificate.checkPrivateKey(key)) {
    return {
      at: 'certFile',
      code: 'certificate_mismatch',
      problem: 'does not belong to the private key in keyFile',
      remedy: 'Name the two files of one pair; of a chain the certificate of the key comes first.',
    }
  }
  return { key, certificate }
}

function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch {
    return undefined
  }
}
