// What PostgreSQL, the network and TLS say when something is wrong, in one line with the statement or the setting that
// mends it. Told apart by codes, never by the texts of messages: the server writes those in its own language.
import { isIP } from 'node:net'
import pg from 'pg'
import { isSocket, type DatabaseAddress } from '../core/database-address.js'
import { GatehouseError } from '../core/errors.js'
import { NotPostgres, TlsRefused } from './connection.js'
import { addressOf, Unproven } from './postgres-client.js'

/** Kinds of failure, as `reason` in the log and `database_REASON` in what `check` and `doctor` find. */
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
  | 'refused'
  | 'name'
  | 'timeout'
  | 'unreachable'

interface Meaning {
  readonly reason: Reason
  readonly says: string
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

/** @returns undefined for an error that is not of a kind that an operator can mend */
export function databaseFailure(error: unknown, url: string, options: FailureOptions = {}): GatehouseError | undefined {
  if (error instanceof GatehouseError) return error
  const address = addressOf(url)
  const meaning = error instanceof pg.DatabaseError ? ofServer(error, address, options) : ofConnection(error, address)
  if (meaning === undefined) return undefined
  const { reason, says, remedy } = meaning
  const facts = { reason, ...(error instanceof pg.DatabaseError ? { sqlState: error.code } : {}) }
  return new GatehouseError('database_unavailable', { cause: error, detail: says, remedy, facts })
}

/** The same for an error of a connection that is just being made, whatever it is. */
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
  const { user, database } = address
  const at = `PostgreSQL at ${place(address)}`
  const asIt = `${at}: ${error.message}`
  switch (error.code) {
    case '28P01':
      return passwordWrong(address)
    case '28000':
      return error.routine === 'InitializeSessionUserId'
        ? {
          reason: 'role',
          says: asIt,
          remedy: `CREATE ROLE ${quoted(user)} LOGIN PASSWORD '...' (ALTER ROLE ${
            quoted(user)
          } LOGIN, where it exists).`,
        }
        : notLetIn(error, address, options)
    case '3D000':
      return {
        reason: 'missing',
        says: `${at} has no database ${quoted(database)}.`,
        remedy: `CREATE DATABASE ${quoted(database)} OWNER ${quoted(user)};`,
      }
    case '53300':
      return { reason: 'connections', says: asIt, remedy: moreConnections(error, address) }
    case '42501':
      return error.routine === 'CheckMyDatabase'
        ? { reason: 'rights', says: asIt, remedy: `GRANT CONNECT ON DATABASE ${quoted(database)} TO ${quoted(user)};` }
        : {
          reason: 'rights',
          says: asIt,
          remedy: `Gatehouse's tables belong to another role: GRANT that role TO ${
            quoted(user)
          }; or let it have them: REASSIGN OWNED BY that role TO ${quoted(user)};`,
        }
    case '25006':
      return readOnly(address)
    default:
      return undefined
  }
}

function passwordWrong(address: DatabaseAddress): Meaning {
  const { user, hasPassword } = address
  const says = `PostgreSQL at ${place(address)} does not take the password of ${quoted(user)}.`
  const set = `ALTER ROLE ${quoted(user)} LOGIN PASSWORD '...';`
  if (!hasPassword) {
    return {
      reason: 'password',
      says: `PostgreSQL at ${place(address)} asks for the password of ${quoted(user)}, and database.url has none.`,
      remedy: `Write it into database.url (postgres://user:password@...), or set another one: ${set}`,
    }
  }
  return {
    reason: 'password',
    says,
    remedy: `Correct it in database.url (percent-encode @ : / ? # and %), or set it there: ${set}`,
  }
}

function notLetIn(error: pg.DatabaseError, address: DatabaseAddress, { encrypted }: FailureOptions): Meaning {
  const { user, database } = address
  const from = /"([0-9a-f.:]+)"/.exec(error.message)?.[1]
  const version = isIP(from ?? '')
  const client = version === 0 ? 'ADDRESS/32' : `${from}/${version === 4 ? 32 : 128}`
  const line = isSocket(address.host)
    ? `local ${quoted(database)} ${quoted(user)} scram-sha-256`
    : `${encrypted === true ? 'hostssl' : 'host'} ${quoted(database)} ${quoted(user)} ${client} scram-sha-256`
  const remedy =
    `Write into the server's pg_hba.conf, above a line that rejects: ${line}; then SELECT pg_reload_conf();`
  return { reason: 'access', says: `PostgreSQL at ${place(address)}: ${error.message}`, remedy }
}

/** Each limit is found by its own function of the server. */
function moreConnections({ routine }: pg.DatabaseError, { user, database }: DatabaseAddress): string {
  const more = routine === 'CheckMyDatabase'
    ? `ALTER DATABASE ${quoted(database)} CONNECTION LIMIT -1;`
    : routine === 'InitializeSessionUserId'
    ? `ALTER ROLE ${quoted(user)} CONNECTION LIMIT -1;`
    : 'ALTER SYSTEM SET max_connections = 200; and restart the server'
  return `${more}, or use fewer: a replica takes database.poolSize and up to four more.`.replace(';,', ',')
}

export function readOnly(address: DatabaseAddress): Meaning {
  return {
    reason: 'read_only',
    says: `PostgreSQL at ${place(address)} takes no writes.`,
    remedy: `If it is a standby (SELECT pg_is_in_recovery();), name the primary in database.url; if not: ALTER ROLE ${
      quoted(address.user)
    } IN DATABASE ${quoted(address.database)} SET default_transaction_read_only = off;`,
  }
}

function ofConnection(error: unknown, address: DatabaseAddress): Meaning | undefined {
  const at = `PostgreSQL at ${place(address)}`
  const { tls } = address
  if (error instanceof TlsRefused) {
    return {
      reason: 'tls_refused',
      says: `${at} has no TLS, which sslmode=${tls.mode} asks for.`,
      remedy: 'Give it a certificate and ALTER SYSTEM SET ssl = on; or, where nobody else is on the way, write ' +
        'sslmode=disable in database.url.',
    }
  }
  if (error instanceof NotPostgres || error instanceof Unproven) {
    return {
      reason: 'other_server',
      says: `${at}: ${error.message}.`,
      remedy: 'See which program answers there, and correct host and port in database.url.',
    }
  }
  if (!(error instanceof Error)) return undefined
  const code = 'code' in error ? String(error.code) : ''
  const syscall = 'syscall' in error ? error.syscall : undefined
  if (UNTRUSTED.has(code)) return untrusted(code, address)
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return otherName(error, address)
  if (syscall === 'open' || code === 'EISDIR' || code.startsWith('ERR_OSSL')) {
    return {
      reason: 'certificate_file',
      says: `A certificate or key for the database cannot be read: ${error.message}`,
      remedy:
        'Correct database.caFile (or sslrootcert, sslcert and sslkey in database.url): PEM files that Gatehouse may ' +
        'read.',
    }
  }
  if (code === 'ECONNREFUSED' || code === 'ENOENT') {
    return {
      reason: 'refused',
      says: `Nothing listens at ${place(address)} (${code}).`,
      remedy: `Start PostgreSQL there${
        isSocket(address.host) ? '' : ' (listen_addresses must have that address)'
      }, or correct host and port in database.url.`,
    }
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return {
      reason: 'name',
      says: `There is no address for the name ${address.host} (${code}).`,
      remedy: 'Correct the host in database.url, or see to the name server.',
    }
  }
  if (code === 'ETIMEDOUT' || LATE.test(error.message)) {
    return {
      reason: 'timeout',
      says: `${at} does not answer in time.`,
      remedy: 'See whether a firewall is in between, and what the server is busy with: SELECT * FROM pg_stat_activity;',
    }
  }
  if (UNREACHABLE.has(code)) {
    return {
      reason: 'unreachable',
      says: `${at}: ${messageOf(error)}.`,
      remedy: 'See what is between Gatehouse and PostgreSQL, and whether host and port in database.url are right.',
    }
  }
  if (error.message.startsWith('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password') && !address.hasPassword) {
    return passwordWrong(address)
  }
  return undefined
}

function untrusted(code: string, address: DatabaseAddress): Meaning {
  const { rootFile } = address.tls
  const says = `The certificate of PostgreSQL at ${place(address)} is not trusted (${code}).`
  if (/EXPIRED|NOT_YET|REVOKED/.test(code)) {
    return {
      reason: 'certificate',
      says,
      remedy:
        'Give the server a new certificate (ssl_cert_file, ssl_key_file), then SELECT pg_reload_conf(); or see to ' +
        'the clock of this machine.',
    }
  }
  const remedy = rootFile === undefined
    ? 'Set database.caFile to the certificate of the authority that signed it (or to the certificate itself, if it ' +
      'is self-signed), as PEM.'
    : `${rootFile} is not the authority that signed it: set database.caFile (or sslrootcert) to the one that did, ` +
      'as PEM.'
  return { reason: 'certificate', says, remedy }
}

function otherName(error: Error, address: DatabaseAddress): Meaning {
  const { subjectaltname: names = 'no name' } = (error as { cert?: { subjectaltname?: string } }).cert ?? {}
  return {
    reason: 'certificate_name',
    says: `The certificate of PostgreSQL at ${place(address)} is for ${names}.`,
    remedy:
      'Write one of these names as the host in database.url, give the server a certificate for its name, or ask for ' +
      'the authority alone: sslmode=verify-ca with database.caFile.',
  }
}

/** Where it is, for people: host:port, or the directory of a socket. */
export function place({ host, port }: DatabaseAddress): string {
  return isSocket(host) ? host : host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** An identifier in a statement. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
