// Connections that give the password to nobody: `require_auth=scram-sha-256` in the address, as libpq has it. SCRAM proves
// the password to a server that knows it already, and the server to us (RFC 5802). A server that asks for it in clear or
// as MD5, or for nothing at all, is refused.
import pg from 'pg'

const REQUIRED = /[?&]require_auth=scram-sha-256(&|$)/

/** What the driver keeps to itself: how it answers a server that asks for the password. */
interface Handshake {
  _handleAuthCleartextPassword(): void
  _handleAuthMD5Password(): void
  readonly connection: {
    once(event: 'authenticationSASLFinal' | 'authenticationOk', listener: () => void): void
    removeAllListeners(event: 'readyForQuery'): void
    readonly stream: { destroy(error: Error): void }
  }
}

export function createClient(config: pg.ClientConfig): pg.Client {
  const client = new pg.Client(config)
  if (!REQUIRED.test(config.connectionString ?? '')) return client
  const handshake = client as unknown as Handshake
  const refuse = (asked: string) => (): void => {
    handshake.connection.removeAllListeners('readyForQuery') // which may have come along in the same packet
    const says = `the server asks for ${asked}, where SCRAM-SHA-256 is required: it is another server`
    handshake.connection.stream.destroy(new Error(says))
  }
  handshake._handleAuthCleartextPassword = refuse('the password in clear')
  handshake._handleAuthMD5Password = refuse('an MD5 of the password')
  let proven = false
  handshake.connection.once('authenticationSASLFinal', () => { proven = true }) // whose signature the driver verifies
  handshake.connection.once('authenticationOk', () => { if (!proven) refuse('no password')() })
  return client
}

/** For pools, which call it with `new`. */
export function PooledClient(config: pg.ClientConfig): pg.Client {
  return createClient(config)
}
