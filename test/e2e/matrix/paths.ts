// Spellings of paths: nothing that some reading puts elsewhere passes under a rule, and what applications need
// arrives as it was sent.
import { described, each, said, send, statuses, total, type Column, type Context, type Row } from './context.js'
import { isBelow, readingsOf } from './readings.js'

const words = (text: string) => text.trim().split(/\s+/)

/** Between /open and admin: every one may mean "one up". */
const UP = words(String.raw`
  /../ /%2e%2e/ /.%2e/ /%2e./ /..%2f /..%5c /..\ \..\ %2f..%2f %5c..%5c /..;/ /..;x=y/ /%252e%252e/ /..%252f
  /%25252e%25252e/ //../ /.//../ /x/../../ /./../ /..%00/ /%2e%09%2e/ /.%0a./ /..%20/ /..%c2%a0/ /%c0%ae%c0%ae/
  /%u002e%u002e/ /..%3b/ /;/../ /..%23/ /%2e%2e%2f
`)

/** Other ways to say /admin/x. */
const ADMIN = words(String.raw`
  //admin/x ///admin//x /./admin/x /x/../admin/x /%61dmin/x /admin%2fx /admin%5cx /admin\x \admin\x /admin;a=b/x
  /;a/admin/x /%2561dmin/x /%252561dmin/x /admin%0a/x /admin%0a /admin%20/x /%20/../admin/x /admin%09 /admin%00/x
  /.;/admin/x /x/..;/admin/x /admin%3bx /%2fadmin/x /%5cadmin/x /admin/ /admin/. /admin/x/.. /admin%c2%a0
  /admin%e3%80%80/x /admin%1f /admin%7f /admin%c2%85 /%2e/admin/x /..%2fadmin/x /../admin/x /admin?x /admin%3fx
  /admin%23x
`)

/** As anybody; what reaches the application is below /open in every reading. */
async function strangers(context: Context, paths: readonly string[]): Promise<string> {
  const statuses: string[] = []
  for (const target of paths) {
    const outcome = await send(context, { target })
    statuses.push(said(outcome))
    for (const { url } of outcome.seen) {
      const outside = readingsOf(url.replace(/\?.*$/, '')).filter((reading) => !isBelow(reading, '/open'))
      context.t.same(outside, [], `${target} reached the application as ${url}`)
    }
  }
  return `${paths.length} asked, ${each(statuses.sort())}`
}

/** As a person who may not: what reaches the application is below /admin in no reading. */
async function ordinary(context: Context, paths: readonly string[]): Promise<string> {
  const statuses: string[] = []
  for (const target of paths) {
    const outcome = await send(context, { target, cookie: context.people.ordinary })
    statuses.push(said(outcome))
    for (const { url } of outcome.seen) {
      const inside = readingsOf(url.replace(/\?.*$/, '')).filter((reading) => isBelow(reading, '/admin'))
      context.t.same(inside, [], `${target} reached the application as ${url}`)
    }
  }
  return `${paths.length} asked, ${each(statuses.sort())}`
}

/** @returns the status, and what became of the path where it is another one */
const needed = (target: string): Row => ({
  title: `\`${target}\``,
  async ask(context) {
    const outcome = await send(context, { target, cookie: context.people.ordinary })
    const [received] = outcome.seen
    if (outcome.status === 200) context.t.equal(described(outcome.seen).startsWith('GET /'), true)
    return received && received.url !== target ? `${said(outcome)} as \`${received.url}\`` : said(outcome)
  },
})

export const PATHS: Column = {
  title: 'Spellings of paths',
  summary: (cells) =>
    `${total(cells, /^(\d+) asked/)} asked, none passes; ${statuses(cells.filter((cell) => !cell.includes('asked')))}`,
  rows: [
    {
      title: 'out of `/open/`, where anyone may',
      ask: async (context) =>
        await strangers(
          context,
          UP.map((up) => `/open${up}admin/x`),
        ),
    },
    {
      title: 'the same, deeper',
      ask: async (context) =>
        await strangers(
          context,
          UP.map((up) => `/open/a${up}${up.slice(1)}admin/x`),
        ),
    },
    { title: '`/admin/` in other words, as a stranger', ask: async (context) => await strangers(context, ADMIN) },
    {
      title: '`/admin/` in other words, as a person who may not',
      ask: async (context) => await ordinary(context, ADMIN),
    },
    ...[
      '/projects/group%2Fproject',
      '/a//b',
      '/caf%C3%A9/%E6%97%A5',
      '/a%20b',
      '/x?a=%',
      '/x?q=50%+off&r=%u00e9',
      '/x?next=/admin/x',
      '/a;b=c/d',
      '/~x/@y/$z',
    ].map(needed),
  ],
}
