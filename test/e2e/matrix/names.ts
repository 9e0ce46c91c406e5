// Headers that some application, framework or gateway reads as identity, address or target: no copy of a client's
// arrives, in no spelling that CGI reads as the same name.
import type { Received } from '../../helpers/upstream.js'
import { JSON_CLIENT, said, send, total, type Column, type Context, type Row } from './context.js'

const named = (prefix: string, names: string) => names.split(' ').map((name) => `${prefix}-${name}`)

/** Written here once more, apart from the product's own list. */
export const STRIPPED: readonly string[] = [
  ...named('X-Auth-Request', 'User Email Email-Verified Preferred-Username Groups Staff Superuser'),
  ...named('X-Auth-Request', 'Redirect Access-Token'),
  ...named('Remote', 'User Email Name Groups User-Group User-Email User-First-Name User-Last-Name'),
  ...named('X-Gatehouse', 'Assertion Error Authorization Emergency'),
  ...named('X-Forwarded', 'User Email Groups Preferred-Username Access-Token Prefix Uri Method'),
  ...named('X-Original', 'URL Method Uri Host Forwarded-For'),
  'X-Rewrite-URL',
  'X-Real-IP',
  'Forwarded',
  'Proxy',
]

/** Set by the proxies themselves: the client's value does not arrive, nor another spelling. */
const OVERWRITTEN = named('X-Forwarded', 'For Host Proto Port Server')

/** RFC 9110 section 5.6.2 has these besides letters, digits and the hyphen. */
const ODD = [..."!#$%&'*+.^_`|~"]

const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]+/g, '-')
const KNOWN = new Set([...STRIPPED, ...OVERWRITTEN].map(plain))

/** What of the client's own headers is among those that the application received. */
export function forgedIn({ raw }: Pick<Received, 'raw'>): string[] {
  const found: string[] = []
  const met = new Set<string>()
  for (let at = 0; at < raw.length; at += 2) {
    const [name = '', value = ''] = raw.slice(at, at + 2)
    if (!KNOWN.has(plain(name))) continue
    if (value.includes('forged')) found.push(`${name}: ${value}`)
    else if (plain(name) !== name.toLowerCase()) found.push(`${name}, another spelling`)
    else if (met.has(plain(name))) found.push(`${name} twice`)
    met.add(plain(name))
  }
  return found
}

const CHUNK = 50 // Envoy takes a hundred headers

/** Sends all of them, some at a time, as staff and as a stranger where anyone may. */
async function forge(context: Context, lines: readonly string[], connection = 'close'): Promise<string> {
  const found = new Set<string>()
  const statuses = new Set<string>()
  for (let at = 0; at < lines.length; at += CHUNK) {
    const headers = [`Connection: ${connection}`, ...JSON_CLIENT, ...lines.slice(at, at + CHUNK)]
    for (const asked of [{ cookie: context.people.staff, target: '/x' }, { target: '/open/x' }]) {
      const outcome = await send(context, { ...asked, headers })
      statuses.add(said(outcome))
      const user = 'cookie' in asked ? 'sam.staff@contoso.example' : ''
      for (const received of outcome.seen) {
        for (const name of forgedIn(received)) found.add(name)
        context.t.equal(received.headers['remote-user'] ?? '', user)
      }
    }
  }
  context.t.same([...found], [], 'forged headers that arrived')
  return `${lines.length} sent, ${found.size} arrive (${[...statuses].join(', ')})`
}

const row = (title: string, lines: readonly string[], connection?: string): Row => ({
  title,
  ask: async (context) => await forge(context, lines, connection),
})

const ALL = [...STRIPPED, ...OVERWRITTEN]

export const NAMES: Column = {
  title: 'Names that are taken away',
  summary: (cells) => `${total(cells, / (\d+) arrive/)} of ${total(cells, /^(\d+) sent/)} arrive`,
  rows: [
    row(
      'as they are',
      ALL.map((name) => `${name}: forged`),
    ),
    row(
      'in small letters',
      ALL.map((name) => `${name.toLowerCase()}: forged`),
    ),
    row(
      'twice',
      ALL.flatMap((name) => [`${name}: forged`, `${name.toUpperCase()}: forged, too`]),
    ),
    row(
      'empty',
      ALL.map((name) => `${name}:`),
    ),
    row(
      'empty, then with a value',
      ALL.flatMap((name) => [`${name}:`, `${name}: forged`]),
    ),
    row(
      'every odd character for every hyphen',
      ALL.flatMap((name) => ODD.map((odd) => `${name.replaceAll('-', odd)}: forged`)),
    ),
    row(
      'every odd character for the last hyphen',
      ALL.flatMap((name) => ODD.map((odd) => `${name.replace(/-(?=[^-]*$)/, odd)}: forged`)),
    ),
    row(
      'an underscore and a dot in one name',
      ALL.map((name) => `${name.replace('-', '_').replace('-', '.')}: forged`),
    ),
    row(
      'named in Connection',
      ALL.filter((name) => name !== 'Proxy').map((name) => `${name}: forged`),
      `close, ${ALL.join(', ')}`,
    ),
  ],
}
