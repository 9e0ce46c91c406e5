// `$skiptoken`: opaque to the client, sealed so that an invented one or one of another collection is refused, and
// expiring.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

export interface Position {
  offset: number
  page: number
}

export interface PageTokens {
  write(position: Position, collection: string, now: number): string
  /** Undefined for a token that is forged, expired, or of another collection. */
  read(token: string, collection: string, now: number): Position | undefined
}

const PREFIX = 'RFNwdAoAAQAAAAAAAAAAFAAAA'

export function createPageTokens(lifetimeMs: number): PageTokens {
  const key = randomBytes(32)
  const seal = (body: Buffer, collection: string) =>
    createHmac('sha256', key).update(body).update(collection).digest().subarray(0, 16)
  return {
    write({ offset, page }, collection, now) {
      const body = Buffer.alloc(16)
      body.writeUInt32BE(offset, 0)
      body.writeUInt32BE(page, 4)
      body.writeDoubleBE(now, 8)
      return PREFIX + Buffer.concat([body, seal(body, collection)]).toString('base64url')
    },
    read(token, collection, now) {
      const bytes = Buffer.from(token.slice(PREFIX.length), 'base64url')
      if (!token.startsWith(PREFIX) || bytes.length !== 32) return undefined
      const body = bytes.subarray(0, 16)
      if (!timingSafeEqual(bytes.subarray(16), seal(body, collection)) || now - body.readDoubleBE(8) > lifetimeMs) {
        return undefined
      }
      return { offset: body.readUInt32BE(0), page: body.readUInt32BE(4) }
    },
  }
}
