// The yardsticks: the same status and headers from a bare Fastify route, from node:http alone, and from a bare Fastify
// route that looks the headers of each cookie up in a map, everybody's their own. Arguments: kind, port, a file with
// the answer as JSON ({ status, headers: [name, value, ...] }), the file of cookies, the path (of the auth endpoint for
// nginx where there is none).
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import fastify from 'fastify'

const [kind, port, file, cookiesFile, path = '/oauth2/auth'] = process.argv.slice(2)
const { status, headers } = JSON.parse(readFileSync(file, 'utf8'))
const object = Object.fromEntries(
  Array.from({ length: headers.length / 2 }, (_, index) => [headers[2 * index], headers[2 * index + 1]]),
)

if (kind === 'lookup') {
  const app = fastify()
  const byCookie = new Map(
    readFileSync(cookiesFile, 'utf8').split('\n').map((
      cookie,
      index,
    ) => [
      cookie,
      Object.fromEntries(
        Object.entries(object).map(([name, value]) => [
          name,
          value.length > 5
            ? Buffer.from(value.replace(/^.{5}/, String(10_000 + index).slice(-5)), 'latin1').toString('latin1')
            : value,
        ]),
      ),
    ]),
  )
  app.get(path, (request, reply) => {
    reply.code(status).headers(byCookie.get(/gatehouse_session=([^;]*)/.exec(request.headers.cookie)[1])).send()
  })
  await app.listen({ port: Number(port), host: '127.0.0.1' })
} else if (kind === 'fastify') {
  const app = fastify()
  app.get(path, (request, reply) => {
    reply.code(status).headers(object).send()
  })
  await app.listen({ port: Number(port), host: '127.0.0.1' })
} else {
  createServer((request, response) => response.writeHead(status, headers).end()).listen(Number(port), '127.0.0.1')
}
process.once('SIGINT', () => process.exit())
process.once('SIGTERM', () => process.exit())
