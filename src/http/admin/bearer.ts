// The API token of a request. One of Gatehouse decides alone; any other credential in the header is not looked at.
import type { IncomingMessage } from 'node:http'
import { GatehouseError } from '../../core/errors.js'
import { isOurToken } from '../../core/token.js'

type Request = Pick<IncomingMessage, 'headers' | 'rawHeaders'>

/** @throws GatehouseError `request_malformed`: there are two Authorization headers */
export function bearerOf(request: Request): string | undefined {
  if (count(request) > 1) { // guard: token-one-credential
    throw new GatehouseError('request_malformed', { detail: 'there are two Authorization headers' })
  }
  return tokenIn(request)
}

/** The same for a limit of requests, which refuses nothing. */
export function firstBearerOf(request: Request): string | undefined {
  return tokenIn(request)
}

function tokenIn({ headers: { authorization } }: Request): string | undefined {
  const [, token] = /^bearer +(\S.*)$/i.exec(authorization ?? '') ?? []
  return token !== undefined && isOurToken(token) ? token : undefined
}

/** Of duplicate Authorization headers Node keeps only the first in `headers`. */
function count({ rawHeaders }: Request): number {
  let found = 0
  for (let at = 0; at < rawHeaders.length; at += 2) if (rawHeaders[at]?.toLowerCase() === 'authorization') found++
  return found
}
