// `gatehouse audit list`: what was done, by whom, newest first.
import { listAudit } from '../store/audit-list.js'
import { EXIT, printJson, printTable, withDatabase, type CommonOptions } from './context.js'
import { parseSince } from './time.js'

const LIMIT = 1_000

export async function auditList(options: CommonOptions & { readonly user?: string, readonly since?: string, readonly action?: string }): Promise<number> {
  const since = options.since === undefined ? undefined : parseSince(options.since, Date.now())
  const events = await withDatabase(options, async ({ database, people }) => listAudit(database, {
    userId: options.user === undefined ? undefined : (await people.find(options.user)).id,
    since,
    action: options.action,
    limit: LIMIT,
  }))
  if (options.json) printJson(events)
  else printTable(['TIME', 'ACTION', 'ACTOR', 'USER', 'DETAIL'], events.map((event) => [event.at.slice(0, 19), event.action, event.actor, event.username ?? '', JSON.stringify(event.detail)]), 'Nothing is recorded.')
  return EXIT.ok
}
