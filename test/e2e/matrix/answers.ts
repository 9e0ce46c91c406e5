// What a person and a program get who may not, or not yet.
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
export function refused(
  title: string,
  sending: (context: Context) => Parameters<typeof send>[1],
  say: (outcome: Outcome, context: Context) => string,
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
      program,
    ),
    refused(
      'a cookie that is no session',
      () => ({ cookie: '__Secure-gatehouse_session=forged.forged', headers: JSON_CLIENT }),
      program,
    ),
    refused(
      'a preflight',
      () => ({
        method: 'OPTIONS',
        headers: ['Accept: */*', 'Origin: https://x.example.com', 'Access-Control-Request-Method: PUT'],
      }),
      program,
    ),
  ],
}

const admin = (headers: readonly string[]) => ({ people }: Context) => ({
  target: '/admin/x',
  cookie: people.ordinary,
  headers,
})
const withRule = ({ answer, status }: Outcome) =>
  `${status}, ${bodyOf(answer)}${answer.body.includes('access.rules[') ? ' with the rule' : ''}`

export const FORBIDDEN: Column = {
  title: '403: not allowed',
  rows: [refused('a page load', admin(PAGE), withRule), refused('a program', admin(JSON_CLIENT), withRule)],
}
