// How a connection to PostgreSQL becomes one: with TLS or without, as libpq's sslmode means it. The driver knows
// neither `prefer` nor `allow`, and takes the others for `verify-full`; here the way is found before it is told that it
// is connected, and from then on it has the socket itself.
import { readFileSync } from 'node:fs'
import { isIP, Socket } from 'node:net'
import { connect as startTls, TLSSocket, type ConnectionOptions } from 'node:tls'
import pg from 'pg'
import type { TlsWish } from '../core/database-address.js'

/** The server has no TLS, which was asked for. */
export class TlsRefused extends Error {}
/** Something answers that is no PostgreSQL. */
export class NotPostgres extends Error {}

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]) // protocol-message-formats: 80877103
const ERROR_RESPONSE = 'E'.charCodeAt(0)
/** invalid_authorization_specification: no line of pg_hba.conf lets in who comes this way. */
const NOT_THIS_WAY = /\0C28000\0/

/** What the driver's connection has besides what its types say. */
interface Inner {
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
  /**
   * What the server's certificate had to prove: nothing, that an authority signed it, or that it has the server's name
   * as well.
   */
  readonly verified: 'nothing' | 'authority' | 'name'
}

export interface ConnectionSettings {
  readonly keepAlive?: boolean | undefined
  readonly keepAliveInitialDelayMillis?: number | undefined
}

export class PostgresConnection extends pg.Connection {
  readonly #tls: TlsWish
  #startup: unknown
  /** Whether each way that is left speaks TLS. */
  #ways: boolean[] = []

  constructor(tls: TlsWish, settings: ConnectionSettings) {
    super(settings as pg.ConnectionConfig)
    this.#tls = tls
  }

  get link(): Link {
    const { stream } = this.#inner
    if (!(stream instanceof TLSSocket)) return { encrypted: false, protocol: undefined, verified: 'nothing' }
    const { mode } = this.#tls
    const verified = mode === 'verify-full' ? 'name' : mode === 'verify-ca' ? 'authority' : 'nothing'
    return { encrypted: true, protocol: stream.getProtocol() ?? undefined, verified }
  }

  /** Called by the driver; a path in place of the port is that of a Unix socket. */
  connect(port: number | string, host?: string): void {
    const { mode } = this.#tls
    this.#inner._connecting = true
    this.#ways = mode === 'disable'
      ? [false]
      : mode === 'allow'
      ? [false, true]
      : mode === 'prefer' // guard: adv-database-no-downgrade
      ? [true, false]
      : [true]
    this.#tryNext(port, host, this.#inner.stream)
  }

  /** Called by the driver when it hears that it is connected. */
  startup(config: unknown): void {
    this.#startup = config
    Inherited.startup.call(this, config)
  }

  get #inner(): Inner {
    return this as unknown as Inner
  }

  #tryNext(port: number | string, host: string | undefined, socket = new Socket()): void {
    const encrypted = this.#ways.shift() ?? false
    const inner = this.#inner
    inner.stream = socket
    socket.setNoDelay(true)
    this.#reportErrors(socket)
    socket.once('close', () => this.emit('end'))
    socket.once('connect', () => {
      if (inner._keepAlive) socket.setKeepAlive(true, inner._keepAliveInitialDelayMillis)
      const again = (): void => {
        forget(inner.stream)
        forget(socket)
        this.#tryNext(port, host)
      }
      if (encrypted) this.#encrypt(socket, host ?? '', again)
      else this.#ready(socket, again)
    })
    if (typeof port === 'string') socket.connect(port)
    else socket.connect(port, host ?? 'localhost')
  }

  #encrypt(socket: Socket, host: string, again: () => void): void {
    if (this.#tls.direct) return this.#handshake(socket, host, again)
    socket.once('data', (answer: Buffer) => {
      // One byte: whatever came with it in clear would be taken for the server's word later (CVE-2021-23222).
      const [first] = answer.toString('latin1')
      // guard: adv-database-stuffed
      if (answer.length === 1 && first === 'S') return this.#handshake(socket, host, again)
      if (answer.length === 1 && first === 'N') {
        if (this.#ways.length > 0) {
          this.#ways = []
          return this.#ready(socket, again)
        }
        return socket.destroy(new TlsRefused('the server has no TLS'))
      }
      return socket.destroy(new NotPostgres('the answer is not one of PostgreSQL'))
    })
    socket.write(SSL_REQUEST)
  }

  #handshake(socket: Socket, host: string, again: () => void): void {
    let encrypted: TLSSocket
    try {
      encrypted = startTls({ ...this.#options(host), socket })
    } catch (error) {
      socket.destroy(error as Error)
      return
    }
    this.#inner.stream = encrypted
    const failed = (error: Error): void => {
      if (this.#ways.length > 0 && !this.#inner._ending) return again()
      this.emit('error', error)
    }
    encrypted.on('error', failed)
    encrypted.once('secureConnect', () => {
      encrypted.off('error', failed)
      this.#reportErrors(encrypted)
      this.#ready(encrypted, again)
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

  /** The driver may begin; while there is another way, a server that lets nobody in on this one is asked on that. */
  #ready(stream: Socket, again: () => void): void {
    if (this.#ways.length === 0) {
      this.#inner.attachListeners(stream)
    } else {
      stream.once('data', (answer: Buffer) => {
        if (answer[0] === ERROR_RESPONSE && NOT_THIS_WAY.test(answer.toString('latin1')) && this.#ways.length > 0) {
          return again()
        }
        this.#inner.attachListeners(stream)
        stream.emit('data', answer)
      })
    }
    if (this.#startup === undefined) this.emit('connect')
    else Inherited.startup.call(this, this.#startup)
  }

  /** As the driver does: a connection that breaks while it is being closed has not failed. */
  #reportErrors(socket: Socket): void {
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#inner._ending && (error.code === 'ECONNRESET' || error.code === 'EPIPE')) return
      this.emit('error', error)
    })
  }
}

const Inherited = pg.Connection.prototype as unknown as Pick<Inner, 'startup'>

/** Nothing that still comes from it is heard. */
function forget(socket: Socket): void {
  socket.removeAllListeners()
  socket.on('error', () => {})
  socket.destroy()
}
