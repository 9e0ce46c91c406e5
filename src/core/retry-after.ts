// Retry-After as servers really send it, Graph among them: seconds, decimals, an HTTP-date, two values joined, or
// garbage. The order matters: Date.parse('120') is the year 120.

/**
 * @param now milliseconds since 1970
 * @returns milliseconds to wait, at least 0; undefined where the value cannot be parsed
 */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  const seconds = value.split(',').map((part) => /^\s*(\d+(?:\.\d+)?)\s*$/.exec(part)?.[1]).filter((part) =>
    part !== undefined
  )
  if (seconds.length > 0 && seconds.length === value.split(',').length) return Math.max(...seconds.map(Number)) * 1000
  if (!/^\s*[A-Za-z]{3},/.test(value)) return undefined
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
