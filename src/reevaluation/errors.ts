// Whatever a part of the re-evaluation throws, as an error that is reported.
import { GatehouseError } from '../core/errors.js'

export function asError(error: unknown): GatehouseError {
  if (error instanceof GatehouseError) return error
  const detail = error instanceof Error ? error.message : String(error)
  return new GatehouseError('internal', { cause: error, detail, remedy: 'Please report it.' })
}
