// Lengths of time: `15s 5m 8h 90d`, always with a unit, read into milliseconds.
import { valueProblem } from '../problem.js'
import type { Kind } from './kind.js'

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const PATTERN = '^[0-9]{1,9}(ms|s|m|h|d)$'

/** Milliseconds; undefined for what is no duration. */
export function durationMs(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? []
  return amount === undefined || unit === undefined ? undefined : Number(amount) * (UNITS[unit] ?? 0)
}

export const duration: Kind = {
  title: 'duration',
  pattern: PATTERN,
  read(text, { shown, min, max }) {
    const value = durationMs(text)
    if (value === undefined) {
      return valueProblem(
        'duration_invalid',
        `must be a length of time, but is ${shown}`,
        'Write a whole number and a unit: 15s, 5m, 8h or 90d.',
      )
    }
    const [least, most] = [durationMs(min ?? ''), durationMs(max ?? '')]
    if ((least !== undefined && value < least) || (most !== undefined && value > most)) {
      return valueProblem(
        'duration_range',
        `must be between ${min} and ${max}, but is ${shown}`,
        'Choose a length of time within these bounds.',
      )
    }
    return { value }
  },
}
