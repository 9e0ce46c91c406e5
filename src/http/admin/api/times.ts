// Times of the database in the form of the API: ISO 8601 in UTC, whatever the time zone of the database is.

const TIME = /^(?:at|since|until|\w*(?:At|Since))$/

/** @returns a copy in which the members that are times, by their name, are in UTC. What `detail` holds stays. */
export function timesInUtc<Value>(value: Value): Value {
  return converted(value, '') as Value
}

function converted(value: unknown, name: string): unknown {
  if (Array.isArray(value)) return value.map((each) => converted(each, ''))
  if (typeof value === 'string' && TIME.test(name)) return new Date(value).toISOString()
  if (typeof value !== 'object' || value === null || name === 'detail') return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, converted(each, key)]))
}
