// Who looks at something in the console or its API, for the audit record.
import { isObjectId } from '../core/identity.js'

export interface Viewer {
  readonly userId: string
  /** Public id of the session, or of the API token. */
  readonly sessionId?: string | undefined
  readonly tokenId?: string | undefined
  readonly address: string
  readonly correlationId: string
}

/** The user's id and not the name, so that the record keeps no name when the user is removed. */
export function actorOf({ userId }: Pick<Viewer, 'userId'>): string {
  return `admin:${userId}`
}

/** By which session or API token, and from where: for the detail of an audit row. */
export function byOf(
  { sessionId, tokenId, address }: Pick<Viewer, 'sessionId' | 'tokenId' | 'address'>,
): Readonly<Record<string, unknown>> {
  return tokenId === undefined ? { session: sessionId, address } : { token: tokenId, address }
}

/** @returns the user's id; undefined: the actor is no administrator of the console */
export function administratorOf(actor: string): string | undefined {
  const [, userId = ''] = /^admin:(.*)$/.exec(actor) ?? []
  return isObjectId(userId) ? userId : undefined
}
