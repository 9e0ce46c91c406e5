// `gatehouse audit list|export`: what was done, by whom, newest first.
import { createAuditAdmin, type AuditAdmin, type AuditQuery } from '../admin/audit.js'
import { detailText } from '../admin/audit-detail.js'
import { auditFile } from '../admin/audit-files.js'
import { auditRecord } from '../core/audit.js'
import { createAuditReader } from '../store/audit-list.js'
import { commandProcess } from './command-process.js'
import { EXIT, printJson, printNote, printTable, withDatabase, type CommonOptions } from './context.js'
import { printPages } from './row-output.js'

const LIMIT = 1_000

interface AuditOptions extends CommonOptions {
  readonly user?: string
  readonly since?: Date
  readonly until?: Date
  readonly action?: string
  readonly actor?: string
  readonly correlationId?: string
}

export async function auditList(options: AuditOptions): Promise<number> {
  if (isEmptyRange(options)) return EXIT.usage
  const { rows: events, next } = await withRecord(options, (record, query) => record.list({ ...query, limit: LIMIT }))
  if (options.json) printJson(events.map(auditRecord))
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

/** NDJSON of every row, however many there are: one page is in memory at a time. */
export async function auditExport(options: AuditOptions): Promise<number> {
  if (isEmptyRange(options)) return EXIT.usage
  const { stdout } = commandProcess()
  await withRecord(options, async (record, query) => {
    await printPages(oneByOne(auditFile(await record.export(query), 'ndjson')), {
      add(texts: readonly string[]) {
        stdout.write(texts.join(''))
      },
      end: () => {},
    })
  })
  return EXIT.ok
}

async function* oneByOne<T>(items: AsyncIterable<T>): AsyncGenerator<readonly T[]> {
  for await (const item of items) yield [item]
}

function isEmptyRange({ since, until }: AuditOptions): boolean {
  if (since === undefined || until === undefined || since < until) return false
  const [from, to] = [since, until].map((time) => time.toISOString())
  commandProcess().stderr.write(`gatehouse: --since (${from}) is not before --until (${to}): nothing lies between.\n`)
  return true
}

async function withRecord<T>(
  options: AuditOptions,
  work: (record: AuditAdmin, query: AuditQuery) => Promise<T>,
): Promise<T> {
  const { user: person, since, until, action, actor, correlationId } = options
  return await withDatabase(options, async ({ database, people }) => {
    const findPerson = async (text: string) => (await people.find(text)).id
    const record = createAuditAdmin({ audit: createAuditReader(database), findPerson })
    return await work(record, { person, since, until, action, actor, correlationId })
  })
}
