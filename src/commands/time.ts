// Points in time as people write them on the command line.
import { GatehouseError } from '../core/errors.js'

/** `2h`, `30m`, `7d` ago, or ISO 8601. @throws `time_invalid` */
export function parseSince(text: string, now: number): Date {
  const [, amount, unit] = /^(\d+)(s|m|h|d)$/.exec(text) ?? []
  const seconds = { s: 1, m: 60, h: 3600, d: 86_400 }[unit ?? '']
  const time = amount !== undefined && seconds !== undefined ? now - Number(amount) * seconds * 1000 : /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(time)) throw new GatehouseError('time_invalid', { detail: `${JSON.stringify(text)} is no time`, remedy: 'Write ISO 8601 (2026-11-22T10:00:00Z), or how long ago: 30m, 2h, 7d.' })
  return new Date(time)
}
