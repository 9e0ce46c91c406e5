// Who looks at something in the console or its API, for the audit record.

export interface Viewer {
  readonly userId: string
  /** Public id of the session. */
  readonly sessionId: string
  readonly address: string
  readonly correlationId: string
}

/** The user's id and not the name, so that the record keeps no name when the user is removed. */
export function actorOf({ userId }: Pick<Viewer, 'userId'>): string {
  return `admin:${userId}`
}
