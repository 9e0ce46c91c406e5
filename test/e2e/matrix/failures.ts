// Where Gatehouse or its database is away: nothing passes, and what people and programs see. And a body that is
// announced does not take the next person's answer away.
import { setTimeout as sleep } from 'node:timers/promises'
import { APP } from '../../helpers/proxies-scene.js'
import { bytesOf, openTls } from '../../helpers/raw-http.js'
import { valuesOf } from '../../helpers/raw-answer.js'
import { each, JSON_CLIENT, PAGE, said, send, type Column, type Context, type Outcome, type Row } from './context.js'

function described({ answer, status }: Outcome): string {
  const [type = ''] = valuesOf(answer, 'content-type')
  const body = answer.body === ''
    ? 'empty'
    : type.startsWith('text/html')
    ? 'page'
    : type.startsWith('application/json')
    ? 'JSON'
    : 'text'
  return `${status}, ${body}${valuesOf(answer, 'retry-after').length > 0 ? ', Retry-After' : ''}`
}

async function both(context: Context): Promise<string> {
  const told: string[] = []
  for (const headers of [PAGE, JSON_CLIENT]) {
    const outcome = await send(context, { cookie: context.people.staff, headers })
    context.t.equal(outcome.seen.length, 0, 'nothing reaches the application')
    context.t.ok(outcome.status >= 500, `${outcome.status}`)
    told.push(described(outcome))
  }
  return told.join(' · ')
}

/** Asks the gateway itself until it answers as expected. */
async function until(context: Context, status: number): Promise<void> {
  for (let waited = 0; waited < 60_000; waited += 100) {
    const answer = await fetch(`http://${context.relay.address}/oauth2/userinfo`, {
      headers: { cookie: context.people.staff },
    })
    if (answer.status === status) return
    await sleep(100)
  }
  throw new Error(`userinfo does not come to ${status}`)
}

const databaseAway: Row = {
  title: 'the database is away: page · program',
  async ask(context) {
    context.database.shut()
    try {
      await until(context, 503)
      return await both(context)
    } finally {
      context.database.open()
      await until(context, 200)
    }
  },
}

/** Asked at all proxies at a time: what the others see is no business of this one, and nothing may arrive at all. */
const gatewayFrozen: Row = {
  title: 'Gatehouse is frozen: page · program',
  async ask(context) {
    context.relay.freeze()
    try {
      const outcomes = await Promise.all(
        [PAGE, JSON_CLIENT].map(async (headers) => {
          const outcome = await send(context, { cookie: context.people.staff, headers, patienceMs: 90_000 })
          context.t.equal(outcome.seen.length, 0, 'nothing reaches the application')
          context.t.ok(outcome.status >= 500, `${outcome.status}`)
          return described(outcome)
        }),
      )
      return outcomes.join(' · ')
    } finally {
      context.relay.thaw()
      await until(context, 200)
    }
  },
}

const gatewayAway: Row = {
  title: 'Gatehouse is stopped: page · program',
  async ask(context) {
    await context.relay.stop()
    return await both(context)
  },
}

/** A request whose body is announced and never sent. */
function announce({ started, people }: Context): () => void {
  const socket = openTls(started.app)
  socket.on('error', () => undefined)
  const headers = [`Host: ${APP}`, 'Content-Length: 300', `Cookie: ${people.ordinary}`, ...JSON_CLIENT]
  socket.write(bytesOf({ line: 'POST /form HTTP/1.1', headers }))
  return () => socket.destroy()
}

const kept = (title: string, first: (context: Context) => Promise<() => void>): Row => ({
  title,
  async ask(context) {
    const statuses: string[] = []
    for (let times = 0; times < 6; times++) {
      const end = await first(context)
      const from = performance.now()
      statuses.push(said(await send(context, { cookie: context.people.staff })))
      context.t.ok(performance.now() - from < 10_000, 'the next person does not wait')
      end()
    }
    context.t.same(new Set(statuses), new Set(['200']))
    return `the next one: ${[...new Set(statuses)].join(', ')}`
  },
})

export const FAILURES: Column = {
  title: '503: without Gatehouse',
  summary: (cells) => each(cells.slice(-2)),
  rows: [
    kept('a body that is announced and sent', async (context) => {
      await send(context, { method: 'POST', target: '/form', cookie: context.people.ordinary, body: 'x'.repeat(300) })
      return () => undefined
    }),
    kept('a body that is announced and not sent', async (context) => announce(context)),
    kept('a body of somebody who is not signed in', async (context) => {
      await send(context, { method: 'POST', target: '/form', body: 'x'.repeat(300) })
      return () => undefined
    }),
    databaseAway,
    gatewayAway,
  ],
}

export const FROZEN: Column = {
  title: '503: a frozen Gatehouse',
  summary: (cells) => each(cells),
  rows: [gatewayFrozen],
}
