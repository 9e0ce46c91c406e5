// The report of access reviews as a file: `/admin/reviews.csv` and `/admin/reviews.ndjson`, with the filters of the
// page. A file is sent while it is read, no faster than it is taken.
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { reviewsFile, type ReviewsFormat } from '../../../admin/reviews-files.js'
import { GatehouseError } from '../../../core/errors.js'
import { REVIEW_FILTERS } from '../api/reviews.js'
import { attachment } from '../attachment.js'
import type { PageRoutesOptions } from './routes.js'
import { parametersOf } from './values.js'

/** Of one process. */
const MAX_FILES_AT_A_TIME = 2

const FORMATS: Readonly<Record<ReviewsFormat, string>> = {
  ndjson: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8; header=present',
}
const SCHEMA = Type.Object(REVIEW_FILTERS)

type Options = Pick<PageRoutesOptions, 'guard' | 'useCases' | 'now'>

export async function reviewDownloads(scope: FastifyInstance, options: Options): Promise<void> {
  const { guard, useCases, now = Date.now } = options
  let open = 0
  for (const [format, type] of Object.entries(FORMATS) as readonly [ReviewsFormat, string][]) {
    scope.get(`/admin/reviews.${format}`, async (request, reply) => {
      await guard.authenticate(request, 'gatehouse.read') // guard: review-file-permission
      const filter = parametersOf(SCHEMA, request, request.query)
      if (open >= MAX_FILES_AT_A_TIME) throw new GatehouseError('rate_limited') // guard: review-files-bounded
      open++ // before anything is awaited: requests at the same time count too
      const parts = reviewsFile(useCases.reviews, filter, format)
      // a failure of the database is answered as an error, and not as a short file
      const first = await parts.next().catch((error: unknown) => {
        open--
        throw error
      })
      const file = Readable.from(joined(first.value ?? '', parts), { objectMode: false })
      file.once('close', () => open--)
      const day = new Date(now()).toISOString().slice(0, 10)
      return await attachment(reply, { name: `gatehouse-reviews-${day}.${format}`, type }).send(file)
    })
  }
}

async function* joined(first: string, rest: AsyncIterable<string>): AsyncGenerator<string> {
  yield first
  yield* rest
}
