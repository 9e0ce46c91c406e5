// Points in time as people write them on the command line.

/** `2h`, `30m`, `7d` ago, or ISO 8601. @returns nothing where it is neither */
export function parseInstant(text: string, now: number): Date | undefined {
  const [, amount, unit] = /^(\d+)(s|m|h|d)$/.exec(text) ?? []
  const seconds = { s: 1, m: 60, h: 3600, d: 86_400 }[unit ?? '']
  const ago = amount !== undefined && seconds !== undefined ? now - Number(amount) * seconds * 1000 : undefined
  const time = ago ?? (/^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : NaN)
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? undefined : date
}
