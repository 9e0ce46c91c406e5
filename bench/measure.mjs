// Loaded into the gateway's own process by a benchmark: how long each callback took, how much of that was waiting for
// Entra ID and Graph, and the memory after a collection. It watches Node's and undici's diagnostics channels and
// changes nothing.
import { subscribe } from 'node:diagnostics_channel'
import './memory.mjs'

const shares = []
let waiting = 0
let asked = 0
const began = new WeakMap()
const sent = new WeakMap()

subscribe('http.server.request.start', ({ request }) => {
  if (request.url.startsWith('/oauth2/callback')) began.set(request, { at: performance.now(), waiting })
})
subscribe('http.server.response.finish', ({ request }) => {
  const start = began.get(request)
  // exact where logins come one at a time
  if (start) shares.push({ total: performance.now() - start.at, waited: waiting - start.waiting })
})
subscribe('undici:request:create', ({ request }) => {
  sent.set(request, performance.now())
  asked++
})
subscribe('undici:request:trailers', ({ request }) => {
  waiting += performance.now() - (sent.get(request) ?? performance.now())
})

process.on('message', (question) => {
  if (question === 'shares') process.send({ shares: shares.splice(0), asked })
})
process.channel?.unref()
