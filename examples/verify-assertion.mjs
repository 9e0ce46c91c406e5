// An application behind the gateway: it answers each request with the user that the signed assertion names.
//
//     ISSUER=https://auth.example.com AUDIENCE=wiki.example.com PORT=3000 node verify-assertion.mjs
//
// ISSUER is server.publicUrl of the gateway, AUDIENCE the host name of this application.
// @ts-check
import { createServer } from 'node:http'
import { AssertionError, createVerifier } from 'gatehouse/verify'

const { ISSUER = '', AUDIENCE = '', PORT = '3000' } = process.env

const verifier = createVerifier({ issuer: ISSUER, audience: AUDIENCE }) // one: it keeps the public keys

const server = createServer(async (request, response) => {
  try {
    const { sub, name, username, groups } = await verifier.verify(request.headers['x-gatehouse-assertion'])
    answer(response, 200, { id: sub, name: name ?? username, groups })
  } catch (error) {
    if (!(error instanceof AssertionError)) throw error
    // Without the keys nothing is known about the assertion: a later request may succeed.
    answer(response, error.code === 'unavailable' ? 503 : 401, { error: error.code })
  }
})

server.listen(Number(PORT), '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object') console.log(`http://127.0.0.1:${address?.port}/`)
})

/**
 * @param {import('node:http').ServerResponse} response
 * @param {number} status
 * @param {object} body
 */
function answer(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}
