// Errors of Microsoft Graph: one JSON envelope for all of them.

export class GraphError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

export const invalidToken = (message: string) => new GraphError(401, 'InvalidAuthenticationToken', message)
export const requestDenied = () =>
  new GraphError(403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.')
export const notFound = (id: string) =>
  new GraphError(
    404,
    'Request_ResourceNotFound',
    `Resource '${id}' does not exist or one of its queried reference-property objects are not present.`,
  )
export const unsupportedQuery = (message: string) => new GraphError(400, 'Request_UnsupportedQuery', message)
export const badRequest = (message: string) => new GraphError(400, 'Request_BadRequest', message)
export const expiredPageToken = () =>
  new GraphError(
    400,
    'Directory_ExpiredPageToken',
    'The specified page token value has expired and can no longer be included in your request.',
  )

/** A delta token that is expired or unknown (learn.microsoft.com, "Use delta query", Synchronization reset). */
export class ResyncRequired extends GraphError {
  readonly location: string

  constructor(location: string) {
    super(410, 'resyncRequired', 'Resync required. The sync state is not found.')
    this.location = location
  }
}

export function graphErrorBody(
  { code, message }: { code: string, message: string },
  ids: { requestId: string, clientRequestId: string },
  now: number,
) {
  const innerError = {
    date: new Date(now).toISOString().slice(0, 19),
    'request-id': ids.requestId,
    'client-request-id': ids.clientRequestId,
  }
  return { error: { code, message, innerError } }
}
