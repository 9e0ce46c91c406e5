// The yardstick: the same status and headers from a bare Fastify route, or from node:http alone. Arguments: kind, port, a file with
// the answer as JSON ({ status, headers: [name, value, ...] }).
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import fastify from 'fastify'

const [kind, port, file] = process.argv.slice(2)
const { status, headers } = JSON.parse(readFileSync(file, 'utf8'))
const object = Object.fromEntries(Array.from({ length: headers.length / 2 }, (_, index) => [headers[2 * index], headers[2 * index + 1]]))

if (kind === 'fastify') {
  const app = fastify()
  app.get('/oauth2/auth', (request, reply) => { reply.code(status).headers(object).send() })
  await app.listen({ port: Number(port), host: '127.0.0.1' })
} else {
  createServer((request, response) => response.writeHead(status, headers).end()).listen(Number(port), '127.0.0.1')
}
process.once('SIGINT', () => process.exit())
process.once('SIGTERM', () => process.exit())
