// Return addresses that are too long to travel through Entra ID and back: they are kept on the server, under the flow.

/** Above it an address is not sealed into the state. Entra ID and what is in front of it limit the length of a URL. */
export const MOST_IN_STATE = 1_500

/** The state holds the front page of such an address; the address itself is here, for ten minutes. */
export interface LongReturns {
  /** @param flow its hash @returns how many others were dropped to make room, though their time was not over */
  keep(flow: Buffer, returnTo: string): Promise<number>
  /** @returns undefined where it is dropped or too old */
  find(flow: Buffer): Promise<string | undefined>
}
