// HTTP/2: the host is in `:authority`, may be in `host` as well, and cookies come in pieces.
import { APP, AUTH } from '../../helpers/proxies-scene.js'
import { askHttp2 } from '../../helpers/raw-http.js'
import { described, said, served, statuses, type Column, type Context, type Row } from './context.js'

type Fields = Readonly<Record<string, string | readonly string[]>>

async function ask({ started, scene }: Context, fields: Fields) {
  scene.received.length = 0
  const headers = { ':method': 'GET', ':scheme': 'https', 'accept': 'application/json', ...fields }
  const { status } = await askHttp2(started.app, headers as Record<string, string>)
  return { status, seen: [...scene.received] }
}

async function judged(context: Context, fields: Fields, target = (path: string) => path): Promise<string> {
  const { t, people } = context
  const ported = context.proxy.portByHost ? [] : [['/ported/x', 'a=b']] as const
  for (const [path, cookie] of [['/admin/x', people.ordinary], ['/x', 'a=b'], ...ported] as const) {
    const { seen } = await ask(context, { ':path': target(path), cookie, ...fields })
    t.equal(described(seen), '', `${path} must not reach the application`)
  }
  const outcome = await ask(context, { ':path': target('/admin/x'), 'cookie': people.staff, ...fields })
  for (const { headers } of outcome.seen) t.match(headers.host ?? '', /^wiki\.example\.com\.?(:\d+)?$/i)
  return served(outcome)
}

const row = (title: string, fields: Fields, target?: (path: string) => string): Row => ({
  title,
  ask: async (context) => await judged(context, fields, target),
})

export const HTTP2: Column = {
  title: 'HTTP/2',
  summary: statuses,
  rows: [
    row('as it is', { ':authority': APP }),
    {
      title: 'cookies in pieces',
      async ask(context) {
        const fields = {
          ':authority': APP,
          ':path': '/admin/x',
          'cookie': ['theme=dark', ...context.people.staff.split('; '), 'lang=en'],
        }
        const { status, seen } = await ask(context, fields)
        context.t.match(seen[0]?.headers.cookie ?? '', /^theme=dark; .*lang=en$/)
        return said({ status })
      },
    },
    row('`host` is the same', { ':authority': APP, 'host': APP }),
    row('`host` is one that anyone may open', { ':authority': APP, 'host': 'status.example.com' }),
    row('`:authority` is one that anyone may open', { ':authority': 'status.example.com', 'host': APP }),
    row("`:authority` is the pages' host", { ':authority': AUTH, 'host': APP }),
    row('`:authority` with port 443', { ':authority': `${APP}:443` }),
    row('`:authority` with another port', { ':authority': `${APP}:8443` }),
    row('`:authority` in capitals', { ':authority': 'WIKI.example.com' }),
    row('`:authority` with a dot at the end', { ':authority': `${APP}.` }),
    row('`:authority` with userinfo', { ':authority': `status.example.com@${APP}` }),
    row('a whole URL as `:path`', { ':authority': APP }, (path) => `https://status.example.com${path}`),
  ],
}
