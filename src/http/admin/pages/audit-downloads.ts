// The record as a file: `/admin/audit.ndjson` and `/admin/audit.csv`, with the filters of the page. A file is sent
// while it is read, no faster than it is taken.
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { auditFile, type AuditFormat } from '../../../admin/audit-files.js'
import { GatehouseError } from '../../../core/errors.js'
import { attachment } from '../attachment.js'
import { AUDIT_FILTERS, auditQueryOf } from '../audit-query.js'
import type { PageRoutesOptions } from './routes.js'
import { parametersOf } from './values.js'

/** The most rows of a file; its last row says so where there are more. */
export const MAX_FILE_ROWS = 1_000_000
/** Of one process. */
const MAX_FILES_AT_A_TIME = 2

const FORMATS: Readonly<Record<AuditFormat, string>> = {
  ndjson: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8; header=present',
}
const SCHEMA = Type.Object(AUDIT_FILTERS)

type Options = Pick<PageRoutesOptions, 'guard' | 'useCases' | 'now'> & { readonly maxRows?: number }

export async function auditDownloads(scope: FastifyInstance, options: Options): Promise<void> {
  const { guard, useCases, now = Date.now, maxRows = MAX_FILE_ROWS } = options
  let open = 0
  for (const [format, type] of Object.entries(FORMATS) as readonly [AuditFormat, string][]) {
    scope.get(`/admin/audit.${format}`, async (request, reply) => {
      await guard.authenticate(request, 'gatehouse.read') // guard: admin-audit-file-permission
      const query = auditQueryOf(parametersOf(SCHEMA, request, request.query))
      if (open >= MAX_FILES_AT_A_TIME) throw new GatehouseError('rate_limited') // guard: admin-audit-files-bounded
      open++ // before anything is awaited: requests at the same time count too
      const exported = await useCases.audit.export(query, maxRows).catch((error: unknown) => {
        open--
        throw error
      })
      const file = Readable.from(auditFile(exported, format), { objectMode: false })
      file.once('close', () => open--)
      const day = new Date(now()).toISOString().slice(0, 10)
      return await attachment(reply, { name: `gatehouse-audit-${day}.${format}`, type }).send(file)
    })
  }
}
