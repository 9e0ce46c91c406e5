// The format `syslog`: one connection for a batch, over TLS (RFC 5425) or TCP (RFC 6587). Syslog has no answer. What
// comes nearest: everything is written, our side is closed, and the receiver closes its side without an error, which it
// does after it has read to the end.
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, rootCertificates } from 'node:tls'
import type { AuditReceiver, ExportFailure } from '../core/audit-export.js'
import { createDeadline } from '../core/deadline.js'
import { syslogFrames } from './syslog-message.js'

export interface SyslogOptions {
  /** `syslog+tls://` or `syslog+tcp://`. */
  readonly url: URL
  /** Of the messages: the host of `server.publicUrl`. */
  readonly hostname: string
  readonly timeoutMs?: number
  /** PEM: an authority to trust besides the usual ones. */
  readonly ca?: string
}

const TIMEOUT_MS = 30_000
const PORTS = { tls: 6514, tcp: 601 } as const // RFC 5425 section 4.1, RFC 6587 section 5.1

export function createSyslog({ url, hostname, timeoutMs = TIMEOUT_MS, ca }: SyslogOptions): AuditReceiver {
  return {
    async send(events, signal) {
      const deadline = createDeadline(timeoutMs, signal)
      const failure = await written(() => open(url, ca), syslogFrames(events, hostname), deadline.signal)
      deadline.clear()
      return failure === undefined ? { rejected: 0 } : { failure }
    },
    close: async () => {},
  }
}

function open(url: URL, ca: string | undefined): Socket {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (url.protocol === 'syslog+tcp:') return connect({ host, port: Number(url.port || PORTS.tcp) })
  return connectTls({
    host,
    port: Number(url.port || PORTS.tls),
    ...(isIP(host) === 0 ? { servername: host } : {}), // RFC 6066 section 3: no address
    ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true, // guard: audit-export-tls-verified
  })
}

/** @returns undefined once the receiver has closed the connection after everything was written */
function written(connectTo: () => Socket, bytes: Buffer, signal: AbortSignal): Promise<ExportFailure | undefined> {
  return new Promise((resolve) => {
    const socket = connectTo()
    let isWritten = false
    let isRead = false
    const done = (failure: ExportFailure | undefined): void => {
      signal.removeEventListener('abort', aborted)
      socket.destroy()
      resolve(failure)
    }
    const aborted = (): void => {
      const detail = isWritten ? 'the receiver did not close the connection in time' : 'it was not written in time'
      done({ cause: 'timeout', detail })
    }
    signal.addEventListener('abort', aborted)
    if (signal.aborted) return aborted()
    socket.on('error', (error: NodeJS.ErrnoException) => {
      done({ cause: 'unreachable', detail: error.code ?? 'the connection failed' })
    })
    socket.resume() // what the receiver writes is not read
    const early = { cause: 'unreachable', detail: 'the receiver closed the connection before the end' } as const
    socket.once('end', () => {
      isRead = true
      if (!isWritten) done(early) // guard: audit-export-closed-early
    })
    socket.once('close', () => done(isRead ? undefined : early))
    socket.end(bytes, () => {
      isWritten = true
    })
  })
}
