// TLS negotiation with PostgreSQL as libpq's sslmode defines it. The driver supports neither `prefer` nor `allow`, and
// treats the other modes as `verify-full`; here TLS is negotiated before the driver receives the connected socket.
import { readFileSync } from 'node:fs'
import { isIP, Socket } from 'node:net'
import { connect as startTls, TLSSocket, type ConnectionOptions } from 'node:tls'
import pg from 'pg'
import type { TlsSettings } from '../core/database-address.js'

/** The server does not support TLS, which sslmode requires. */
export class TlsRefused extends Error {}
/** The response does not follow PostgreSQL's protocol. */
export class NotPostgres extends Error {}

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]) // protocol-message-formats: 80877103
const ERROR_RESPONSE = 'E'.charCodeAt(0)
/** invalid_authorization_specification: no line of pg_hba.conf permits this connection, with or without TLS. */
const NOT_PERMITTED = /\0C28000\0/

/** Members of the driver's connection that its types leave out. */
interface DriverConnection {
  stream: Socket
  _connecting: boolean
  _ending: boolean
  readonly _keepAlive: boolean
  readonly _keepAliveInitialDelayMillis: number
  attachListeners(stream: Socket): void
  startup(config: unknown): void
}

export interface Link {
  readonly encrypted: boolean
  /** Like TLSv1.3. */
  readonly protocol: string | undefined
  /** What was verified of the server's certificate: nothing, its authority, or its authority and name. */
  readonly verified: 'nothing' | 'authority' | 'name'
}

/** By sslmode; the other modes verify nothing. */
const VERIFIED: Readonly<Record<string, Link['verified']>> = { 'verify-ca': 'authority', 'verify-full': 'name' }
/** By sslmode: whether each attempt uses TLS; every other mode makes one attempt, with TLS. */
const ATTEMPTS: Readonly<Record<string, readonly boolean[]>> = {
  disable: [false],
  allow: [false, true],
  prefer: [true, false],
}

export interface ConnectionSettings {
  readonly keepAlive?: boolean | undefined
  readonly keepAliveInitialDelayMillis?: number | undefined
}

export class PostgresConnection extends pg.Connection {
  readonly #tls: TlsSettings
  #startup: unknown
  /** Of each attempt that is left: whether it uses TLS. */
  #attempts: boolean[] = []

  constructor(tls: TlsSettings, settings: ConnectionSettings) {
    super(settings as pg.ConnectionConfig)
    this.#tls = tls
  }

  get link(): Link {
    const { stream } = this.#driver
    if (!(stream instanceof TLSSocket)) return { encrypted: false, protocol: undefined, verified: 'nothing' }
    const verified = VERIFIED[this.#tls.mode] ?? 'nothing'
    return { encrypted: true, protocol: stream.getProtocol() ?? undefined, verified }
  }

  /** Called by the driver; a path in place of the port is that of a Unix socket. */
  connect(port: number | string, host?: string): void {
    this.#driver._connecting = true
    this.#attempts = [...ATTEMPTS[this.#tls.mode] ?? [true]] // guard: adv-database-no-downgrade
    this.#tryNext(port, host, this.#driver.stream)
  }

  /** Called by the driver once it is connected. */
  startup(config: unknown): void {
    this.#startup = config
    Inherited.startup.call(this, config)
  }

  get #driver(): DriverConnection {
    return this as unknown as DriverConnection
  }

  #tryNext(port: number | string, host: string | undefined, socket = new Socket()): void {
    const encrypted = this.#attempts.shift() ?? false
    const inner = this.#driver
    inner.stream = socket
    socket.setNoDelay(true)
    this.#reportErrors(socket)
    socket.once('close', () => this.emit('end'))
    socket.once('connect', () => {
      if (inner._keepAlive) socket.setKeepAlive(true, inner._keepAliveInitialDelayMillis)
      const retry = (): void => {
        discard(inner.stream)
        discard(socket)
        this.#tryNext(port, host)
      }
      if (encrypted) this.#encrypt(socket, host ?? '', retry)
      else this.#ready(socket, retry)
    })
    if (typeof port === 'string') socket.connect(port)
    else socket.connect(port, host ?? 'localhost')
  }

  #encrypt(socket: Socket, host: string, retry: () => void): void {
    if (this.#tls.direct) return this.#handshake(socket, host, retry)
    socket.once('data', (answer: Buffer) => {
      // One byte: data after it was not encrypted and would later pass for the server's (CVE-2021-23222).
      const [first] = answer.toString('latin1')
      // guard: adv-database-stuffed
      if (answer.length === 1 && first === 'S') return this.#handshake(socket, host, retry)
      if (answer.length === 1 && first === 'N') {
        if (this.#attempts.length > 0) {
          this.#attempts = []
          return this.#ready(socket, retry)
        }
        return socket.destroy(new TlsRefused('the server does not support TLS'))
      }
      return socket.destroy(new NotPostgres("the response does not follow PostgreSQL's protocol"))
    })
    socket.write(SSL_REQUEST)
  }

  #handshake(socket: Socket, host: string, retry: () => void): void {
    let encrypted: TLSSocket
    try {
      encrypted = startTls({ ...this.#options(host), socket })
    } catch (error) {
      socket.destroy(error as Error)
      return
    }
    this.#driver.stream = encrypted
    const failed = (error: Error): void => {
      if (this.#attempts.length > 0 && !this.#driver._ending) return retry()
      this.emit('error', error)
    }
    encrypted.on('error', failed)
    encrypted.once('secureConnect', () => {
      encrypted.off('error', failed)
      this.#reportErrors(encrypted)
      this.#ready(encrypted, retry)
    })
  }

  #options(host: string): ConnectionOptions {
    const { mode, rootFile, certFile, keyFile, direct } = this.#tls
    const verify = mode === 'verify-ca' || mode === 'verify-full'
    return {
      host,
      ...(isIP(host) === 0 ? { servername: host } : {}), // RFC 6066 section 3: no address
      rejectUnauthorized: verify, // guard: adv-database-verified
      ...(verify && rootFile !== undefined ? { ca: readFileSync(rootFile) } : {}),
      ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}), // guard: adv-database-name
      ...(certFile === undefined ? {} : { cert: readFileSync(certFile) }),
      ...(keyFile === undefined ? {} : { key: readFileSync(keyFile) }),
      ...(direct ? { ALPNProtocols: ['postgresql'] } : {}),
    }
  }

  /** Hands the socket to the driver. A server that refuses this attempt by pg_hba.conf is tried with the next one. */
  #ready(stream: Socket, retry: () => void): void {
    if (this.#attempts.length === 0) {
      this.#driver.attachListeners(stream)
    } else {
      stream.once('data', (answer: Buffer) => {
        if (
          answer[0] === ERROR_RESPONSE && NOT_PERMITTED.test(answer.toString('latin1')) && this.#attempts.length > 0
        ) {
          return retry()
        }
        this.#driver.attachListeners(stream)
        stream.emit('data', answer)
      })
    }
    if (this.#startup === undefined) this.emit('connect')
    else Inherited.startup.call(this, this.#startup)
  }

  /** As the driver does: a connection that breaks while it is being closed is no error. */
  #reportErrors(socket: Socket): void {
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#driver._ending && (error.code === 'ECONNRESET' || error.code === 'EPIPE')) return
      this.emit('error', error)
    })
  }
}

const Inherited = pg.Connection.prototype as unknown as Pick<DriverConnection, 'startup'>

function discard(socket: Socket): void {
  socket.removeAllListeners()
  socket.on('error', () => {})
  socket.destroy()
}
