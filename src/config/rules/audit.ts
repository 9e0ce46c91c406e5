// The export of the audit: its address, its format and its secret fit together, and the audit leaves the machine
// encrypted.
import { webhookKey } from '../../core/webhook-signature.js'
import { isLoopback } from '../../net/loopback.js'
import { isAddress, isPrivate } from '../kinds/hosts.js'
import type { Report } from '../report.js'
import type { Rule } from './rule.js'

const PATH = 'audit.export'

export const exportFits: Rule = ({ audit }, report) => {
  const { url: text, format, secret } = audit?.export ?? {}
  if (format === undefined) return
  if (text !== undefined) addressFits(new URL(text), format === 'syslog', report)
  const path = report.given(`${PATH}.secretFile`) ? `${PATH}.secretFile` : `${PATH}.secret`
  if (report.refused(path)) return
  if (format === 'webhook') signingKeyFits(secret, path, report)
  if (format === 'syslog' && secret !== undefined) {
    report.problem(
      path,
      'export_secret_unused',
      `${path} is given, and syslog knows no secret.`,
      'Take it away. syslog+tls:// verifies the receiver; the receiver knows Gatehouse by its address.',
    )
  }
  if (format === 'otlp' && secret !== undefined && !/^[!-~]+$/.test(secret)) {
    report.problem(
      path,
      'export_secret_invalid',
      `${path} has characters that no bearer token has.`,
      'Write the token alone, without "Bearer".',
    )
  }
}

function signingKeyFits(secret: string | undefined, path: string, report: Report): void {
  const remedy = 'Make one with: openssl rand -base64 32'
  if (secret === undefined) {
    const message = `${PATH}.secretFile is missing: the receiver of a webhook verifies its signature.`
    return report.problem(PATH, 'export_secret_missing', message, remedy, report.keyPositionOf(PATH))
  }
  if (webhookKey(secret) !== undefined) return
  const message = `${path} must be 24 to 64 bytes as base64, with or without whsec_ before it.`
  report.problem(path, 'export_secret_invalid', message, remedy)
}

function addressFits({ protocol, hostname }: URL, isSyslog: boolean, report: Report): void {
  const path = `${PATH}.url`
  if (protocol.startsWith('syslog') !== isSyslog) {
    report.problem(
      path,
      'export_url_format',
      `${path} begins with ${protocol}//, which is not an address of the format in ${PATH}.format.`,
      isSyslog ? 'Write syslog+tls://HOST:PORT' : 'Write https://HOST/PATH',
    )
    return
  }
  if (protocol === 'http:' && !isLoopback(hostname)) { // guard: audit-export-https
    report.problem(
      path,
      'export_url_https',
      `${path} must be https: the audit has names, and others on the network could read it.`,
      'Write https://, or send to an agent on this machine.',
    )
  }
  if (protocol !== 'syslog+tcp:' || isLoopback(hostname)) return
  const message = `${path} is not encrypted: others on the network can read the audit and change it on its way.`
  const remedy = 'Write syslog+tls://, or send to an agent on this machine.'
  if (isAddress(hostname) && !isPrivate(hostname)) report.problem(path, 'export_url_plain', message, remedy)
  else report.warn(path, 'export_url_plain', message, remedy)
}
