// What Connection names is taken away by proxies (RFC 9110 section 7.6.1): none of Gatehouse's own headers, and no part
// of the question. And no connection is handed over to something that is not judged.
import { IDENTITY_HEADERS } from '../../../src/core/identity-headers.js'
import { each, JSON_CLIENT, said, send, type Column, type Row } from './context.js'

/** No connection is handed over to the application for anything but a WebSocket: behind it nothing would be judged. */
const upgradeRow = (protocol: string): Row => ({
  title: `\`Upgrade: ${protocol}\``,
  async ask(context) {
    const upgrade = [
      'Connection: Upgrade, HTTP2-Settings',
      `Upgrade: ${protocol}`,
      'HTTP2-Settings: AAMAAABkAAQAAP__',
      ...JSON_CLIENT,
    ]
    const outcome = await send(context, { target: '/open/x', headers: upgrade })
    if (context.proxy.anyUpgrade && protocol !== 'h2c') return said(outcome)
    context.t.not(outcome.status, 101, protocol)
    for (const { headers } of outcome.seen) context.t.notMatch(headers.connection ?? '', /upgrade/i, protocol)
    return said(outcome)
  },
})

/** What arrives of Gatehouse's own headers where Connection names these. */
const hopRow = (title: string, connection: string, more: readonly string[] = []): Row => ({
  title,
  async ask(context) {
    const headers = [`Connection: ${connection}`, ...JSON_CLIENT, ...more]
    for (const [target, cookie] of [['/admin/x', context.people.ordinary], ['/x', '']] as const) {
      const refused = await send(context, { target, cookie, headers })
      context.t.equal(refused.seen.length, 0, `${title}: ${target} must not reach the application`)
    }
    const outcome = await send(context, { target: '/admin/x', cookie: context.people.staff, headers })
    const [received] = outcome.seen
    if (!received) return said(outcome)
    const missing = IDENTITY_HEADERS.filter((name) => !received.headers[name.toLowerCase()])
    context.t.same(missing, [], `${title}: all identity headers arrive`)
    return `${said(outcome)}, ${missing.length === 0 ? 'all' : `${missing.length} are missing`}`
  },
})

const OURS = IDENTITY_HEADERS.join(', ')

const QUESTIONS = [
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'X-Forwarded-Uri',
  'X-Forwarded-Method',
  'X-Forwarded-Port',
  'X-Original-URL',
  'X-Original-Method',
]

export const HOP_BY_HOP: Column = {
  title: 'Hop-by-hop: identity headers that arrive',
  summary: (cells) => each(cells.filter((cell) => cell.includes(', '))),
  rows: [
    hopRow('nothing', 'close'),
    hopRow('Connection names the identity headers', `close, ${OURS}`),
    hopRow('the same, kept alive', `keep-alive, ${OURS}`),
    hopRow('Connection names what the question is made of', `close, ${QUESTIONS.join(', ')}`),
    hopRow('Connection names Cookie', 'close, Cookie'),
    hopRow('Connection names Host', 'close, Host'),
    hopRow('Connection twice', 'close', [`Connection: ${OURS}`]),
    hopRow('Proxy-Connection and Keep-Alive', 'close', [`Proxy-Connection: ${OURS}`, `Keep-Alive: ${OURS}`]),
    ...['h2c', 'websocket, h2c', 'TLS/1.2', 'something'].map(upgradeRow),
    hopRow('TE and Trailer', 'close, TE', ['TE: trailers', 'Trailer: Remote-User']),
  ],
}
