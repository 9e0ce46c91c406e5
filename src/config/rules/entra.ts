// One tenant or several, exactly one credential, and plain http for tests alone.
import { readClientCertificate } from '../../core/client-certificate.js'
import { describeFailure, type Files } from '../files.js'
import { isPrivate } from '../kinds/hosts.js'
import type { Report } from '../report.js'
import type { Rule } from './rule.js'

const CREDENTIALS = ['clientSecret', 'certificate', 'federatedTokenFile'] as const

export const tenants: Rule = ({ entra }, report) => {
  if (entra?.tenantId === undefined || entra.allowedTenants === undefined) return
  const several = entra.tenantId === 'common' || entra.tenantId === 'organizations'
  if (several && entra.allowedTenants.length === 0) { // guard: any-tenant-refused
    report.problem(
      'entra.tenantId',
      'tenants_open',
      `entra.tenantId is ${entra.tenantId}, which lets anybody's tenant in.`,
      'List the tenants in entra.allowedTenants, or use the Directory (tenant) ID of your own.',
    )
  }
  if (!several && entra.allowedTenants.length > 0) {
    report.problem(
      'entra.allowedTenants',
      'tenants_unused',
      'entra.allowedTenants has no effect, since entra.tenantId names one tenant.',
      'Take it away, or set entra.tenantId to organizations.',
    )
  }
}

/** A re-evaluation asks with a token of one tenant. */
export const tenantsWithoutSync: Rule = ({ entra, sync }, report) => {
  if (sync && (entra?.tenantId === 'common' || entra?.tenantId === 'organizations')) {
    report.problem(
      'sync',
      'sync_several_tenants',
      'sync does not work together with several tenants.',
      'Take sync away, or name one tenant in entra.tenantId.',
      report.keyPositionOf('sync'),
    )
  }
}

export const oneCredential: Rule = ({ entra }, report) => {
  if (!entra) return
  const given = CREDENTIALS.filter((name) =>
    report.given(`entra.${name}`) || (name === 'clientSecret' && report.given('entra.clientSecretFile'))
  )
  const all = 'clientSecret (or clientSecretFile), certificate and federatedTokenFile'
  if (given.length === 0) {
    report.problem(
      'entra',
      'credential_missing',
      'entra has no credential.',
      `Add exactly one of ${all}.`,
      report.keyPositionOf('entra'),
    )
  }
  const [, second] = given
  if (second) {
    report.problem(
      `entra.${second}`,
      'credential_several',
      `entra has several credentials: ${given.join(', ')}.`,
      `Keep exactly one of ${all}.`,
    )
  }
}

export const secretIsNoId: Rule = ({ entra }, report) => {
  const path = report.given('entra.clientSecret') ? 'entra.clientSecret' : 'entra.clientSecretFile'
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(entra?.clientSecret ?? '')) {
    report.warn(
      path,
      'secret_is_id',
      `${path} looks like the ID of a client secret, not its value.`,
      'Entra ID shows the value once, when the secret is made: copy the column Value, not Secret ID.',
    )
  }
}

export const plainHttp: Rule = ({ entra }, report) => {
  for (const name of ['authorityHost', 'graphUrl'] as const) {
    const [path, origin] = [`entra.${name}`, entra?.[name]]
    if (!origin?.startsWith('http:')) continue
    const { hostname } = new URL(origin)
    if (entra?.allowHttp === false) {
      report.problem(
        path,
        'http_not_allowed',
        `${path} is http, over which the client secret and tokens could be read.`,
        'Use https; for a test on this machine set entra.allowHttp: true.',
      )
    } else if (!isPrivate(hostname)) {
      report.problem(
        path,
        'http_public',
        `${path} is http, and ${hostname} is neither a loopback nor a private address.`,
        'Use https: allowHttp counts for loopback and private addresses alone.',
      )
    } else {
      report.warn(
        path,
        'http_override',
        `${path} is http: tokens and the client secret travel in the clear.`,
        'For tests only; use https for people.',
      )
    }
  }
}

export const idsAreNoExamples: Rule = ({ entra }, report) => {
  for (const name of ['tenantId', 'clientId'] as const) {
    if (entra?.[name]?.startsWith('00000000-0000-0000-0000-')) {
      report.warn(
        `entra.${name}`,
        'placeholder',
        `entra.${name} is still the id of the example.`,
        'Copy it from the Overview page of the registration in the Entra admin center.',
      )
    }
  }
}

const SOON_MS = 30 * 86_400_000

export const certificateFits: Rule = ({ entra }, report, files) => {
  const { keyFile, certFile } = entra?.certificate ?? {}
  if (keyFile === undefined || certFile === undefined) return
  const keyPem = textOf(keyFile, 'entra.certificate.keyFile', report, files)
  const certPem = textOf(certFile, 'entra.certificate.certFile', report, files)
  if (files.worldReadable(keyFile)) {
    report.warn(
      'entra.certificate.keyFile',
      'secret_file_open',
      `entra.certificate.keyFile: every user of this machine may read ${keyFile}.`,
      `chmod 640 ${keyFile}`,
    )
  }
  if (keyPem === undefined || certPem === undefined) return
  const pair = readClientCertificate(keyPem, certPem)
  if ('code' in pair) {
    return report.problem(
      `entra.certificate.${pair.at}`,
      pair.code,
      `entra.certificate.${pair.at} ${pair.problem}.`,
      pair.remedy,
    )
  }
  const leftMs = Date.parse(pair.certificate.validTo) - Date.now()
  if (leftMs < SOON_MS) {
    report.warn(
      'entra.certificate.certFile',
      'certificate_expiring',
      `entra.certificate.certFile: the certificate ${leftMs < 0 ? 'expired' : 'expires'} on ${
        new Date(pair.certificate.validTo).toISOString().slice(0, 10)
      }.`,
      'Make a new one, upload it under Certificates & secrets, then exchange the two files.',
    )
  }
}

function textOf(file: string, path: string, report: Report, files: Files): string | undefined {
  try {
    return files.read(file)
  } catch (error) {
    const { failure, message, remedy } = describeFailure(error)
    report.problem(path, `secret_file_${failure}`, `${path}: the file ${file} ${message}.`, remedy)
    return undefined
  }
}
