// `gatehouse audit list`: what was done, by whom, newest first.
import { listAudit } from '../store/audit-list.js'
import { commandProcess } from './command-process.js'
import { EXIT, printJson, printNote, printTable, withDatabase, type CommonOptions } from './context.js'

const LIMIT = 1_000

interface AuditOptions extends CommonOptions {
  readonly user?: string
  readonly since?: Date
  readonly until?: Date
  readonly action?: string
}

export async function auditList(options: AuditOptions): Promise<number> {
  const { since, until } = options
  if (since !== undefined && until !== undefined && since >= until) {
    const [from, to] = [since, until].map((time) => time.toISOString())
    commandProcess().stderr.write(`gatehouse: --since (${from}) is not before --until (${to}): nothing lies between.\n`)
    return EXIT.usage
  }
  const { rows: events, next } = await withDatabase(options, async ({ database, people }) =>
    listAudit(database, {
      userId: options.user === undefined ? undefined : (await people.find(options.user)).id,
      since,
      until,
      action: options.action,
      limit: LIMIT,
    }))
  if (options.json) printJson(events)
  else {
    printTable(
      ['TIME', 'ACTION', 'ACTOR', 'USER', 'DETAIL'],
      events.map((event) => [
        event.at.slice(0, 19),
        event.action,
        event.actor,
        event.username ?? '',
        detailText(event.detail),
      ]),
      'Nothing is recorded.',
    )
  }
  if (next !== undefined) {
    printNote(
      'gatehouse: note: only the newest 1,000 are listed, and there are more.\n' +
        '    Ask for fewer with --since, --user or --action, or for older ones with --until.',
    )
  }
  return EXIT.ok
}

/** `reason: signed out; groups.added: A, B`: names and values of what is there, without the marks of JSON. */
function detailText(detail: unknown, name = ''): string {
  if (detail === null || detail === undefined) return ''
  if (typeof detail !== 'object') return name === '' ? String(detail) : `${name}: ${String(detail)}`
  if (Array.isArray(detail)) {
    const items = detail.map((item: unknown) => typeof item === 'object' ? `(${detailText(item)})` : String(item))
    return items.length === 0 ? '' : `${name}: ${items.join(', ')}`
  }
  return Object.entries(detail)
    .map(([key, value]) => detailText(value, name === '' ? key : `${name}.${key}`))
    .filter((text) => text !== '')
    .join('; ')
}
