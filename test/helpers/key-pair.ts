// A key and its certificate, made on the spot and written as key.pem and cert.pem.
import { generateKeyPairSync, X509Certificate, type KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createCertificate, DAY } from '../../src/demo/entra/certificates.js'

export function writePair(
  directory: string,
  { bits = 2048, until = Date.now() + 90 * DAY } = {},
): { certificate: X509Certificate, pem: string, privateKey: KeyObject } {
  const keys = generateKeyPairSync('rsa', { modulusLength: bits })
  const { pem } = createCertificate({ name: 'gatehouse', keys, from: Date.now() - DAY, until })
  writeFileSync(join(directory, 'key.pem'), keys.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  writeFileSync(join(directory, 'cert.pem'), pem)
  return { certificate: new X509Certificate(pem), pem, privateKey: keys.privateKey }
}
