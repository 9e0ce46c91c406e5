// Every way in which the host that chooses the application and the host that is judged could differ. Whatever the
// proxy answers, nothing that the rules of wiki.example.com refuse reaches the application.
import { decodeJwt } from 'jose'
import { APP, AUTH } from '../../helpers/proxies-scene.js'
import type { Received } from '../../helpers/upstream.js'
import { described, send, served, statuses, type Column, type Context, type Row, type Sending } from './context.js'

/** Anyone may open it; no proxy serves it. */
const ANYONES = 'status.example.com'

/** Asks three times: staff may, an ordinary person and a stranger may not. @returns what staff get */
async function judged(
  context: Context,
  sending: Omit<Sending, 'target'>,
  target: (path: string) => string,
  title: string,
): Promise<string> {
  const { t, people } = context
  const refused = [
    { path: '/admin/x', cookie: people.ordinary },
    { path: '/x', cookie: '' },
    ...(context.proxy.portByHost ? [] : [{ path: '/ported/x', cookie: '' }]),
  ]
  for (const { path, cookie } of refused) {
    const { seen } = await send(context, { ...sending, target: target(path), cookie })
    t.equal(described(seen), '', `${title}: ${path} must not reach the application`)
  }
  const outcome = await send(context, { ...sending, target: target('/admin/x'), cookie: people.staff })
  for (const each of outcome.seen) ownHost(context, each, title)
  return served(outcome)
}

/** What reaches the application is asked of its own host, and its assertion is for that host. */
function ownHost({ t }: Context, { url, headers }: Received, title: string): void {
  t.equal(url.replace(/^https?:\/\/[^/]*/, ''), '/admin/x', title)
  t.match(headers.host ?? '', /^wiki\.example\.com\.?(:\d+)?$/i, title)
  t.equal(decodeJwt(String(headers['x-gatehouse-assertion'])).aud, APP, title)
}

const lineRow = (title: string, authority: string, host: string, sending: Sending = {}): Row => ({
  title,
  ask: async (context) => await judged(context, { host, ...sending }, (path) => `${authority}${path}`, title),
})

export const WHOLE_URL: Column = {
  title: 'A whole URL in the request line',
  summary: statuses,
  rows: [
    lineRow('the same host', `https://${APP}`, APP),
    lineRow('the same host, `http:`', `http://${APP}`, APP),
    lineRow('the same host in capitals', 'https://WIKI.EXAMPLE.COM', APP),
    lineRow('the same host with port 443', `https://${APP}:443`, APP),
    lineRow('the same host with another port', `https://${APP}:8443`, APP),
    lineRow('the same host behind userinfo', `https://${ANYONES}@${APP}`, APP),
    lineRow('another host in `Host`', `https://${APP}`, ANYONES),
    lineRow('another host in `Host`, `DELETE`', `https://${APP}`, ANYONES, { method: 'DELETE' }),
    lineRow('another host in `Host`, HTTP/1.0', `https://${APP}`, ANYONES, { version: '1.0' }),
    lineRow('a host without a rule in `Host`', `https://${APP}`, 'other.example.com'),
    lineRow("the pages' host in `Host`", `https://${APP}`, AUTH),
    lineRow('another port in `Host`', `https://${APP}`, `${APP}:8443`),
    lineRow('no `Host`', `https://${APP}`, APP, { host: [] }),
    lineRow('another host in the request line', `https://${ANYONES}`, APP),
    lineRow("the pages' host in the request line", `https://${AUTH}`, APP),
    lineRow('another scheme', `ftp://${APP}`, APP),
  ],
}

const hostRow = (title: string, host: string | readonly string[], sending: Sending = {}): Row => ({
  title,
  ask: async (context) => await judged(context, { host, ...sending }, (path) => path, title),
})

export const HOSTS: Column = {
  title: 'Spellings of `Host`',
  summary: statuses,
  rows: [
    hostRow('as it is', APP),
    hostRow('port 443', `${APP}:443`),
    hostRow('port 8443, for which there is a rule', `${APP}:8443`),
    hostRow('port 1', `${APP}:1`),
    hostRow('a colon without a port', `${APP}:`),
    hostRow('capitals', 'Wiki.EXAMPLE.com'),
    hostRow('a dot at the end', `${APP}.`),
    hostRow('a dot at the end and a port', `${APP}.:443`),
    hostRow('userinfo', `x@${APP}`),
    hostRow('another host as userinfo', `${ANYONES}@${APP}`),
    hostRow('two lines, the same', [APP, APP]),
    hostRow('two lines, another host second', [APP, ANYONES]),
    hostRow('two lines, another host first', [ANYONES, APP]),
    hostRow('another host behind a comma', `${APP},${ANYONES}`),
    hostRow('another host before a comma', `${ANYONES},${APP}`),
    hostRow('another host behind a blank', `${APP} ${ANYONES}`),
    hostRow('a slash at the end', `${APP}/`),
    hostRow('a whole URL', `https://${APP}`),
    hostRow('an encoded dot', 'wiki%2eexample.com'),
    hostRow('empty', ''),
    hostRow('none, HTTP/1.0', [], { version: '1.0' }),
    hostRow('a host that anyone may open', ANYONES),
    {
      title: 'as it is, another host by TLS',
      ask: async (context) =>
        await judged(context, { place: { address: context.started.address, sni: ANYONES } }, (path) => path, 'SNI'),
    },
    {
      title: "as it is, the pages' host by TLS",
      ask: async (context) => await judged(context, { place: context.started.auth }, (path) => path, 'SNI'),
    },
  ],
}
