// What the record is filtered by in an address: the same parameters in the API, on the page and for the files.
import Type from 'typebox'
import type { AuditQuery } from '../../admin/audit.js'
import type { AuditCursor } from '../../core/audit.js'
import { GatehouseError } from '../../core/errors.js'

const text = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 300, description }))
const time = (description: string) =>
  Type.Optional(Type.String({ minLength: 10, maxLength: 40, description, examples: ['2026-11-28T08:30:00Z'] }))

export const AUDIT_FILTERS = {
  person: text('About one user: username, UPN, e-mail address or id; also the id of a user who was removed.'),
  actor: text('By whom, exactly: `login`, `sync`, `cli:NAME`.'),
  action: text('An action, or the words it begins with: `group` finds `group.add`.'),
  correlationId: text('Of one request or sign-in, as in the log and on error pages.'),
  since: time('Not before this time, ISO 8601; UTC without a zone.'),
  until: time('Before this time, ISO 8601; UTC without a zone.'),
}

export type AuditParameters = Partial<Record<keyof typeof AUDIT_FILTERS, string>>

/** @throws GatehouseError `request_malformed` */
export function auditQueryOf({ since, until, ...texts }: AuditParameters): AuditQuery {
  return { ...texts, since: instantOf('since', since), until: instantOf('until', until) }
}

/** PostgreSQL knows no year 0. */
const TIME = /^(?!0000)\d{4}-\d\d-\d\d(?<time>[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?<zone>Z|[+-]\d\d:?\d\d)?)?$/

/** @throws GatehouseError `request_malformed` */
export function instantOf(parameter: string, written: string | undefined): Date | undefined {
  if (written === undefined) return undefined
  const { time: clock, zone } = TIME.exec(written)?.groups ?? {}
  const date = TIME.test(written) ? new Date(clock === undefined || zone !== undefined ? written : `${written}Z`) : null
  if (date !== null && !Number.isNaN(date.getTime())) return date
  throw new GatehouseError('request_malformed', {
    detail: `${parameter} is not a time`,
    sentence: 'This is not a time. Write 2026-11-28, or 2026-11-28T08:30 for a time of the day (UTC).',
    facts: { parameter },
  })
}

export const AUDIT_CURSOR = Type.Object({ at: Type.String(), id: Type.String() }, { additionalProperties: false })

/** For addresses of pages: the time and the number of the last row. */
export function cursorText({ at, id }: AuditCursor): string {
  return `${at}_${id}`
}

const CURSOR = /^(?<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?[+-]\d\d:\d\d)_(?<id>\d{1,18})$/

/** @throws GatehouseError `request_malformed` where it is no text of cursorText */
export function cursorOf(written: string | undefined): AuditCursor | undefined {
  if (written === undefined) return undefined
  const { at = '', id = '' } = CURSOR.exec(written)?.groups ?? {}
  const isTime = !at.startsWith('0000') && !Number.isNaN(Date.parse(at))
  if (isTime) return { at, id }
  throw new GatehouseError('request_malformed', { detail: 'not a place in the record', facts: { parameter: 'after' } })
}
