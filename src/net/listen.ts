// Listening at a configured address: an address that cannot be used is an error that names its key.
import type { FastifyInstance } from 'fastify'
import { GatehouseError } from '../core/errors.js'

const UNUSABLE = ['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL']

/**
 * @param key of the port in the configuration
 * @returns the port @throws GatehouseError `port_unusable`
 */
export async function listen(
  app: FastifyInstance,
  { host, port }: { readonly host: string, readonly port: number },
  key: string,
): Promise<number | undefined> {
  const listenTextResolver = (address: string): string => `listening for ${key} on ${address}`
  await app.listen({ host, port, listenTextResolver }).catch((cause: unknown) => {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    if (!UNUSABLE.includes(code)) throw cause
    throw new GatehouseError('port_unusable', {
      cause,
      detail: `cannot listen on ${host}:${port} (${code})`,
      remedy: `Free it, or set ${key} to another one.`,
    })
  })
  const address = app.server.address()
  return typeof address === 'object' ? address?.port : undefined
}
