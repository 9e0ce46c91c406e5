// What a person and a program get who may not, or not yet; and what has to pass whole: bodies, cookies, WebSockets.
import { APP, AUTH } from '../../helpers/proxies-scene.js'
import { valuesOf } from '../../helpers/raw-answer.js'
import {
  JSON_CLIENT,
  PAGE,
  said,
  send,
  statuses,
  type Column,
  type Context,
  type Outcome,
  type Row,
} from './context.js'

/** Sends and says what came back; nothing may reach the application. */
function refused(
  title: string,
  sending: (context: Context) => Parameters<typeof send>[1],
  say: (outcome: Outcome, context: Context) => string
): Row {
  return {
    title,
    async ask(context) {
      const outcome = await send(context, sending(context))
      context.t.equal(outcome.seen.length, 0, `${title}: nothing reaches the application`)
      return say(outcome, context)
    },
  }
}

function toSignIn({ answer, status }: Outcome, { t }: Context): string {
  const [location = ''] = valuesOf(answer, 'location')
  if (status !== 302 && status !== 303) return said({ status })
  t.ok(location.startsWith(`https://${AUTH}/oauth2/start?rd=`), location)
  const back = decodeURIComponent(location.replace(/^.*[?&]rd=/, '')).replace(`https://${APP}`, '')
  return `${status} to sign in, back to \`${back}\``
}

/** Status, how often WWW-Authenticate is there, and what kind of body. */
function program({ answer, status }: Outcome): string {
  const challenges = valuesOf(answer, 'www-authenticate').length
  return `${status}, ${challenges === 1 ? '' : `${challenges} × `}WWW-Authenticate, ${bodyOf(answer)}`
}

function bodyOf(answer: Outcome['answer']): string {
  const [type = ''] = valuesOf(answer, 'content-type')
  if (answer.body === '') return 'empty'
  const ours = /gatehouse|"error"/i.test(answer.body)
  const kind = type.startsWith('application/json') ? 'JSON' : type.startsWith('text/html') ? 'page' : 'text'
  return ours ? kind : `the proxy's own ${kind}`
}

export const SIGN_IN: Column = {
  title: 'Sign-in',
  summary: statuses,
  rows: [
    refused('a page load', () => ({ target: '/deep/x?a=1&b=%20', headers: PAGE }), toSignIn),
    refused('a page load by POST', () => ({ method: 'POST', target: '/form', headers: PAGE, body: 'a=b' }), toSignIn),
    refused('a page load by HEAD', () => ({ method: 'HEAD', target: '/deep', headers: PAGE }), toSignIn),
    { title: 'and back', ask: async (context) => await context.signInAgain('/deep/page?a=1&b=two%20words&c=x%2Fy') },
  ],
}

export const UNAUTHORIZED: Column = {
  title: '401: not signed in',
  rows: [
    refused('a program', () => ({ headers: JSON_CLIENT }), program),
    refused(
      '`fetch` of a page',
      () => ({ headers: ['Accept: */*', 'Sec-Fetch-Mode: cors', 'Sec-Fetch-Dest: empty'] }),
      program
    ),
    refused(
      'a cookie that is no session',
      () => ({ cookie: '__Secure-gatehouse_session=forged.forged', headers: JSON_CLIENT }),
      program
    ),
    refused(
      'a preflight',
      () => ({
        method: 'OPTIONS',
        headers: ['Accept: */*', 'Origin: https://x.example.com', 'Access-Control-Request-Method: PUT'],
      }),
      program
    ),
  ],
}

const admin =
  (headers: readonly string[]) =>
    ({ people }: Context) => ({ target: '/admin/x', cookie: people.ordinary, headers })
const withRule = ({ answer, status }: Outcome) =>
  `${status}, ${bodyOf(answer)}${answer.body.includes('access.rules[') ? ' with the rule' : ''}`

export const FORBIDDEN: Column = {
  title: '403: not allowed',
  rows: [refused('a page load', admin(PAGE), withRule), refused('a program', admin(JSON_CLIENT), withRule)],
}

const HANDSHAKE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  'Sec-Fetch-Mode: websocket',
]

export const WEBSOCKET: Column = {
  title: 'WebSocket',
  summary: statuses,
  rows: [
    {
      title: 'signed in',
      ask: async (context) =>
        said(await send(context, { target: '/socket', cookie: context.people.staff, headers: HANDSHAKE })),
    },
    refused('not signed in', () => ({ target: '/socket', headers: HANDSHAKE }), said),
    refused(
      'not allowed',
      ({ people }) => ({ target: '/admin/socket', cookie: people.ordinary, headers: HANDSHAKE }),
      said
    ),
    refused(
      'not signed in, `Accept: text/html`',
      () => ({
        target: '/socket',
        headers: [...HANDSHAKE.filter((line) => !line.startsWith('Sec-Fetch')), 'Accept: text/html'],
      }),
      said
    ),
  ],
}

const MEGABYTE = 'x'.repeat(1024 * 1024)
const cookies = (kilobytes: number) =>
  Array.from({ length: kilobytes }, (_, index) => `big${index}=${'x'.repeat(1_014)}`).join('; ')

const cookieRow = (kilobytes: number): Row => ({
  title: `${kilobytes} KB of the application's own cookies`,
  async ask(context) {
    const cookie = `${context.people.staff}; ${cookies(kilobytes)}`
    // In lines of at most 30 KB: nginx takes no longer one.
    const outcome = await send(context, { cookie })
    const [received] = outcome.seen
    if (!received) return said(outcome)
    context.t.equal(received.headers.cookie?.match(/big\d+=/g)?.length, kilobytes)
    return said(outcome)
  },
})

export const BODIES: Column = {
  title: 'Bodies and cookies',
  summary: statuses,
  rows: [
    {
      title: 'a body of 1 MB',
      async ask(context) {
        const outcome = await send(context, {
          method: 'POST',
          target: '/form',
          cookie: context.people.staff,
          body: MEGABYTE,
        })
        return `${said(outcome)}, ${outcome.answer.body === `POST /form ${MEGABYTE}` ? 'whole' : 'not whole'}`
      },
    },
    {
      title: 'the same in chunks',
      async ask(context) {
        const body = `${MEGABYTE.length.toString(16)}\r\n${MEGABYTE}\r\n0\r\n\r\n`
        const outcome = await send(context, {
          method: 'POST',
          target: '/form',
          cookie: context.people.staff,
          body,
          headers: [...JSON_CLIENT, 'Transfer-Encoding: chunked'],
        })
        return `${said(outcome)}, ${outcome.answer.body === `POST /form ${MEGABYTE}` ? 'whole' : 'not whole'}`
      },
    },
    ...[17, 20, 30, 60].map(cookieRow),
    {
      title: "Gatehouse's own cookies",
      async ask(context) {
        const {
          seen: [received],
        } = await send(context, { cookie: `theme=dark; ${context.people.staff}; gatehouse_login=x; lang=en` })
        context.t.match(received?.headers.cookie ?? '', /theme=dark.*lang=en/)
        return received?.headers.cookie?.includes('gatehouse') ? 'arrive' : 'taken away'
      },
    },
    {
      title: "`Cookie` where only Gatehouse's own was there",
      async ask(context) {
        const own = context.people.staff
          .split('; ')
          .filter((pair) => pair.includes('gatehouse'))
          .join('; ')
        const {
          seen: [received],
        } = await send(context, { cookie: own })
        const value = received?.headers.cookie
        return value === undefined ? 'none' : value === '' ? 'empty' : "Gatehouse's own"
      },
    },
  ],
}
