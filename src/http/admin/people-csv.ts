// GET /admin/people.csv: the list of users with the filters of the page, as a file.
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { peopleCsv } from '../../admin/people-csv.js'
import type { AdminUseCases } from '../../admin/use-cases.js'
import type { AdminGuard } from './actor.js'
import { attachment } from './attachment.js'
import { PEOPLE_FILTERS } from './api/people.js'
import { parametersOf } from './pages/values.js'

const QUERY = Type.Object(PEOPLE_FILTERS)

export interface PeopleCsvOptions {
  readonly guard: AdminGuard
  readonly useCases: AdminUseCases
}

export async function peopleCsvRoute(scope: FastifyInstance, { guard, useCases }: PeopleCsvOptions): Promise<void> {
  scope.get('/admin/people.csv', async (request, reply) => {
    await guard.authenticate(request, 'gatehouse.read') // guard: admin-csv-permission
    const filter = parametersOf(QUERY, request, request.query)
    const pages = peopleCsv(useCases.people, filter)
    const first = await pages.next() // a failure of the database is answered as an error, and not as a short file
    return attachment(reply, { name: 'people.csv', type: 'text/csv; charset=utf-8' })
      .send(Readable.from(joined(first.value ?? '', pages)))
  })
}

async function* joined(first: string, rest: AsyncIterable<string>): AsyncGenerator<string> {
  yield first
  yield* rest
}
