// Made-up history for the demo's console: who signed in during the last days, and what was counted. Always the same,
// seen from the present hour; written by `gatehouse demo` alone, into the database that ends with it.
import type { PersonKey } from './people.js'

/** In every audit row of this history. */
export const MADE_UP = 'made-up history of gatehouse demo'
export const HISTORY_HOURS = 7 * 24

export interface PastSignIn {
  readonly person: PersonKey
  readonly minutesAgo: number
}

/** What one past hour counted: the kinds and keys of the activity counters. */
export interface PastCount {
  readonly hoursAgo: number
  readonly kind: 'answer' | 'sign_in'
  readonly key: string
  readonly count: number
}

/** The users with a history; the others have never signed in. */
export const KNOWN_PEOPLE = ['superuser', 'staff', 'many', 'nested'] as const satisfies readonly PersonKey[]

/** On each of the last seven days, by minutes before this moment. Sam works most, Nina on some days. */
export function pastSignIns(): readonly PastSignIn[] {
  const signIns = Array.from({ length: 7 }, (_, day): readonly PastSignIn[] => {
    const at = (person: PersonKey, minutes: number) => ({ person, minutesAgo: day * 1_440 + minutes })
    return [
      at('staff', 95 + day * 7),
      at('staff', 330 - day * 11),
      at('many', 140 + day * 13),
      ...day % 2 === 0 ? [at('superuser', 65 + day * 5)] : [],
      ...day % 3 === 1 ? [at('nested', 210 + day * 3)] : [],
    ]
  })
  return signIns.flat().sort((a, b) => b.minutesAgo - a.minutesAgo)
}

/** Requests of an hour ago, at the application with this number. */
export const PAST_REQUESTS = [
  { person: 'staff', application: 0, path: '/', count: 120 },
  { person: 'staff', application: 0, path: '/staff/reports/2026/november', count: 45 },
  { person: 'staff', application: 1, path: '/', count: 3 },
  { person: 'many', application: 0, path: '/', count: 60 },
  { person: 'many', application: 0, path: '/staff/', count: 2 },
  { person: 'many', application: 1, path: '/', count: 80 },
  { person: 'superuser', application: 0, path: '/admin/', count: 12 },
] as const satisfies readonly {
  person: typeof KNOWN_PEOPLE[number]
  application: number
  path: string
  count: number
}[]

/** Codes with which a few sign-ins failed. */
const FAILED = [{ hoursAgo: 26, key: 'graph_throttled' }, { hoursAgo: 51, key: 'entra_timeout' }, {
  hoursAgo: 99,
  key: 'entra_timeout',
}]

/** @param now milliseconds since 1970: nights and weekends (UTC) are quiet */
export function pastCounts(now: number): readonly PastCount[] {
  const hours = Array.from({ length: HISTORY_HOURS }, (_, index) => index + 1)
  const signIns = hours.flatMap((hoursAgo) => {
    const { length } = pastSignIns().filter(({ minutesAgo }) => hourOf(now, minutesAgo) === hourOf(now, hoursAgo * 60))
    return length === 0 ? [] : [{ hoursAgo, kind: 'sign_in', key: 'completed', count: length } as const]
  })
  const failed = FAILED.map((each) => ({ ...each, kind: 'sign_in', count: 1 } as const))
  return [...signIns, ...failed, ...hours.flatMap((hoursAgo) => answersOf(hoursAgo, requestsIn(now, hoursAgo)))]
}

function answersOf(hoursAgo: number, requests: number): readonly PastCount[] {
  const counted = [
    { key: 'allowed', count: requests },
    { key: 'not_signed_in', count: Math.round(requests / 14) },
    { key: 'not_allowed', count: requests > 150 && hoursAgo % 5 === 0 ? Math.round(requests / 60) : 0 },
  ]
  return counted.filter(({ count }) => count > 0).map((each) => ({ ...each, hoursAgo, kind: 'answer' }))
}

/** A day of work has its most requests around noon. */
function requestsIn(now: number, hoursAgo: number): number {
  const at = new Date(now - hoursAgo * 3_600_000)
  const isWeekend = at.getUTCDay() % 6 === 0
  const shape = Math.max(0, 1 - Math.abs(at.getUTCHours() - 12) / 8)
  const waves = 20 * Math.abs(Math.sin(hoursAgo * 1.7))
  return Math.round((isWeekend ? 30 : 260) * shape + waves * (shape > 0 ? 1 : 0.2))
}

function hourOf(now: number, minutesAgo: number): number {
  return Math.floor((now - minutesAgo * 60_000) / 3_600_000)
}
