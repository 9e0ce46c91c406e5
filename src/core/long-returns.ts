// Return addresses that are too long to travel through Entra ID and back: they are kept on the server, under the flow.

/** A longer address is not sealed into the state: Entra ID and the proxies on the way limit the length of a URL. */
export const MOST_IN_STATE = 1_500

/** Stores such an address for ten minutes; the state contains its front page. */
export interface LongReturns {
  /** @param flow its hash @returns how many others were evicted before they expired */
  keep(flow: Buffer, returnTo: string): Promise<number>
  /** @returns undefined where it was evicted or has expired */
  find(flow: Buffer): Promise<string | undefined>
}
