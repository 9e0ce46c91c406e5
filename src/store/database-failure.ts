// Errors of PostgreSQL, the network and TLS as one line each, with the statement or the setting that fixes them.
// Codes decide, never message texts: the server writes those in its own language.
import { isIP } from 'node:net'
import pg from 'pg'
import { isSocket, type DatabaseAddress } from '../core/database-address.js'
import { GatehouseError } from '../core/errors.js'
import { NotPostgres, TlsRefused } from './connection.js'
import { addressOf, Unproven } from './postgres-client.js'

/** Kinds of failure: `reason` in the log, `database_REASON` in the findings of `check` and `doctor`. */
export type Reason =
  | 'password'
  | 'access'
  | 'role'
  | 'missing'
  | 'rights'
  | 'read_only'
  | 'connections'
  | 'version'
  | 'tls_refused'
  | 'certificate'
  | 'certificate_name'
  | 'certificate_file'
  | 'other_server'
  | 'other_cluster'
  | 'split'
  | 'superseded'
  | 'unconfirmed'
  | 'history'
  | 'refused'
  | 'name'
  | 'timeout'
  | 'unreachable'

interface Meaning {
  readonly reason: Reason
  readonly detail: string
  readonly remedy: string
}

const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_UNTRUSTED',
  'INVALID_CA',
  'CERT_SIGNATURE_FAILURE',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
])
const UNREACHABLE = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'ECONNRESET', 'ECONNABORTED', 'EPIPE'])
// The driver gives these errors no code of their own.
const LATE = /^(timeout expired|timeout exceeded when trying to connect|Query read timeout)$/

export interface FailureOptions {
  /** Whether this very connection is encrypted, where that is known. */
  readonly encrypted?: boolean | undefined
}

/** @returns undefined for an error that an operator cannot fix */
export function databaseFailure(error: unknown, url: string, options: FailureOptions = {}): GatehouseError | undefined {
  if (error instanceof GatehouseError) return error
  const address = addressOf(url)
  const meaning = error instanceof pg.DatabaseError ? ofServer(error, address, options) : ofConnection(error, address)
  if (meaning === undefined) return undefined
  const { reason, detail, remedy } = meaning
  const facts = { reason, ...(error instanceof pg.DatabaseError ? { sqlState: error.code } : {}) }
  return new GatehouseError('database_unavailable', { cause: error, detail, remedy, facts })
}

/** For an error while connecting, of any kind. */
export function connectFailure(error: unknown, url: string, options: FailureOptions = {}): GatehouseError {
  return databaseFailure(error, url, options) ?? new GatehouseError('database_unavailable', {
    cause: error,
    detail: `PostgreSQL: ${messageOf(error)}`,
    remedy: 'Check that PostgreSQL runs and that database.url is right.',
    ...(error instanceof pg.DatabaseError ? { facts: { sqlState: error.code } } : {}),
  })
}

export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message || ('code' in error ? String(error.code) : error.name)
}

function ofServer(error: pg.DatabaseError, address: DatabaseAddress, options: FailureOptions): Meaning | undefined {
  const { database } = address
  const user = quoted(address.user)
  const at = `PostgreSQL at ${place(address)}`
  const detail = `${at}: ${error.message}`
  switch (error.code) {
    case '28P01':
      return passwordWrong(address)
    case '28000':
      if (error.routine !== 'InitializeSessionUserId') return notPermitted(error, address, options)
      return {
        reason: 'role',
        detail,
        remedy: `CREATE ROLE ${user} LOGIN PASSWORD '...' (ALTER ROLE ${user} LOGIN, where it exists).`,
      }
    case '3D000':
      return {
        reason: 'missing',
        detail: `${at} has no database ${quoted(database)}.`,
        remedy: `CREATE DATABASE ${quoted(database)} OWNER ${user};`,
      }
    case '53300':
      return { reason: 'connections', detail, remedy: moreConnections(error, address) }
    case '42501':
      return { reason: 'rights', detail, remedy: missingRight(error, address) }
    case '25006':
      return readOnly(address)
    default:
      return undefined
  }
}

function missingRight({ routine }: pg.DatabaseError, address: DatabaseAddress): string {
  const user = quoted(address.user)
  if (routine === 'CheckMyDatabase') return `GRANT CONNECT ON DATABASE ${quoted(address.database)} TO ${user};`
  return `Gatehouse's tables belong to another role: GRANT that role TO ${user}; ` +
    `or transfer them: REASSIGN OWNED BY that role TO ${user};`
}

function passwordWrong(address: DatabaseAddress): Meaning {
  const at = `PostgreSQL at ${place(address)}`
  const user = quoted(address.user)
  const set = `ALTER ROLE ${user} LOGIN PASSWORD '...';`
  if (!address.hasPassword) {
    return {
      reason: 'password',
      detail: `${at} requires the password of ${user}: database.url has none, and no password file the right one.`,
      remedy: `Write it into database.url (postgres://user:password@...), or set another one: ${set}`,
    }
  }
  return {
    reason: 'password',
    detail: `${at} rejects the password of ${user}.`,
    remedy: `Correct it in database.url (percent-encode @ : / ? # and %), or set it there: ${set}`,
  }
}

function notPermitted(error: pg.DatabaseError, address: DatabaseAddress, { encrypted }: FailureOptions): Meaning {
  const { user, database } = address
  const from = /"([0-9a-f.:]+)"/.exec(error.message)?.[1]
  const version = isIP(from ?? '')
  const client = version === 0 ? 'ADDRESS/32' : `${from}/${version === 4 ? 32 : 128}`
  const line = isSocket(address.host)
    ? `local ${quoted(database)} ${quoted(user)} scram-sha-256`
    : `${encrypted === true ? 'hostssl' : 'host'} ${quoted(database)} ${quoted(user)} ${client} scram-sha-256`
  return {
    reason: 'access',
    detail: `PostgreSQL at ${place(address)}: ${error.message}`,
    remedy: `Write into the server's pg_hba.conf, above a line that rejects: ${line}; then SELECT pg_reload_conf();`,
  }
}

/** The server's routine names the limit that was reached: of the database, of the role, or of the server. */
function moreConnections({ routine }: pg.DatabaseError, { user, database }: DatabaseAddress): string {
  const remedies: Readonly<Record<string, string>> = {
    CheckMyDatabase: `ALTER DATABASE ${quoted(database)} CONNECTION LIMIT -1`,
    InitializeSessionUserId: `ALTER ROLE ${quoted(user)} CONNECTION LIMIT -1`,
  }
  const more = remedies[routine ?? ''] ?? 'ALTER SYSTEM SET max_connections = 200; and restart the server'
  return `${more}, or use fewer: a replica takes database.poolSize and up to four more.`
}

function readOnly(address: DatabaseAddress): Meaning {
  return {
    reason: 'read_only',
    detail: `PostgreSQL at ${place(address)} is read-only.`,
    remedy: `If it is a standby (SELECT pg_is_in_recovery();), name the primary in database.url; if not: ALTER ROLE ${
      quoted(address.user)
    } IN DATABASE ${quoted(address.database)} SET default_transaction_read_only = off;`,
  }
}

function ofConnection(error: unknown, address: DatabaseAddress): Meaning | undefined {
  const at = `PostgreSQL at ${place(address)}`
  if (error instanceof TlsRefused) {
    return {
      reason: 'tls_refused',
      detail: `${at} does not support TLS, which sslmode=${address.tls.mode} requires.`,
      remedy: 'Give it a certificate and ALTER SYSTEM SET ssl = on; or, on a network that only you control, write ' +
        'sslmode=disable in database.url.',
    }
  }
  if (error instanceof NotPostgres || error instanceof Unproven) {
    return {
      reason: 'other_server',
      detail: `${at}: ${error.message}.`,
      remedy: 'Find out which program listens there, and correct host and port in database.url.',
    }
  }
  if (!(error instanceof Error)) return undefined
  const code = 'code' in error ? String(error.code) : ''
  return ofCertificate(error, code, address) ?? ofNetwork(error, code, address)
}

function ofCertificate(error: Error, code: string, address: DatabaseAddress): Meaning | undefined {
  const syscall = 'syscall' in error ? error.syscall : undefined
  if (UNTRUSTED.has(code)) return untrusted(code, address)
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return otherName(error, address)
  if (syscall !== 'open' && code !== 'EISDIR' && !code.startsWith('ERR_OSSL')) return undefined
  return {
    reason: 'certificate_file',
    detail: `A certificate or key for the database cannot be read: ${error.message}`,
    remedy: 'Correct database.caFile (or sslrootcert, sslcert and sslkey in database.url): PEM files that Gatehouse ' +
      'may read.',
  }
}

function ofNetwork(error: Error, code: string, address: DatabaseAddress): Meaning | undefined {
  const at = `PostgreSQL at ${place(address)}`
  if (code === 'ECONNREFUSED' || code === 'ENOENT') {
    const where = isSocket(address.host) ? '' : ' (listen_addresses must have that address)'
    return {
      reason: 'refused',
      detail: `Nothing listens at ${place(address)} (${code}).`,
      remedy: `Start PostgreSQL there${where}, or correct host and port in database.url.`,
    }
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return {
      reason: 'name',
      detail: `The host name ${address.host} does not resolve (${code}).`,
      remedy: 'Correct the host in database.url, or check the name server.',
    }
  }
  if (code === 'ETIMEDOUT' || LATE.test(error.message)) {
    return {
      reason: 'timeout',
      detail: `${at} does not answer in time.`,
      remedy: 'Check for a firewall in between, and what the server is busy with: SELECT * FROM pg_stat_activity;',
    }
  }
  if (UNREACHABLE.has(code)) {
    return {
      reason: 'unreachable',
      detail: `${at}: ${messageOf(error)}.`,
      remedy: 'Check the network between Gatehouse and PostgreSQL, and host and port in database.url.',
    }
  }
  // pg's own error, without a code: the server requires a password and database.url has none
  if (error.message.startsWith('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password') && !address.hasPassword) {
    return passwordWrong(address)
  }
  return undefined
}

function untrusted(code: string, address: DatabaseAddress): Meaning {
  const { rootFile } = address.tls
  const detail = `The certificate of PostgreSQL at ${place(address)} is not trusted (${code}).`
  if (/EXPIRED|NOT_YET|REVOKED/.test(code)) {
    return {
      reason: 'certificate',
      detail,
      remedy: 'Give the server a new certificate (ssl_cert_file, ssl_key_file), then SELECT pg_reload_conf(); or ' +
        'correct the clock of this machine.',
    }
  }
  const remedy = rootFile === undefined
    ? 'Set database.caFile to the certificate of the authority that signed it (or to the certificate itself, if it ' +
      'is self-signed), as PEM.'
    : `${rootFile} is not the authority that signed it: set database.caFile (or sslrootcert) to the one that did, ` +
      'as PEM.'
  return { reason: 'certificate', detail, remedy }
}

function otherName(error: Error, address: DatabaseAddress): Meaning {
  const { subjectaltname: names = 'no name' } = (error as { cert?: { subjectaltname?: string } }).cert ?? {}
  return {
    reason: 'certificate_name',
    detail: `The certificate of PostgreSQL at ${place(address)} is for ${names}.`,
    remedy: 'Write one of these names as the host in database.url, give the server a certificate for its name, or ' +
      'verify the authority alone: sslmode=verify-ca with database.caFile.',
  }
}

/** For messages: host:port, or the directory of a Unix socket. */
export function place({ host, port }: DatabaseAddress): string {
  if (isSocket(host)) return host
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** An identifier in a statement. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function readOnlyFailure(url: string): GatehouseError {
  const { reason, detail, remedy } = readOnly(addressOf(url))
  return failing(reason, detail, remedy)
}

export function failing(reason: Reason, detail: string, remedy: string): GatehouseError {
  return new GatehouseError('database_unavailable', { detail, remedy, facts: { reason } })
}
