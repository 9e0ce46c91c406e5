// The question is for proxies alone: no spelling of it is answered from outside, and no header of a client changes
// what is asked.
import { IDENTITY_HEADERS } from '../../../src/core/identity-headers.js'
import { AUTH } from '../../helpers/proxies-scene.js'
import { valuesOf } from '../../helpers/raw-answer.js'
import { described, each, PAGE, said, send, statuses, type Column, type Context, type Row } from './context.js'

const NAMES = [
  'auth',
  'forward-auth',
  'ext-authz',
  'ext-authz/x',
  'ext-authz/open/x',
  'ext-authz/../start',
  'ext-authz/%2e%2e/start',
  'ext-authz/..%2fstart',
  'ext-authz/..%5cstart',
  'ext-authz/.',
]

const SPELLINGS: readonly ((name: string) => string)[] = [
  (name) => `/oauth2/${name}`,
  (name) => `/oauth2/${name}?x=y`,
  (name) => `/oauth2/${name}/`,
  (name) => `//oauth2/${name}`,
  (name) => `/oauth2//${name}`,
  (name) => `/./oauth2/${name}`,
  (name) => `/x/../oauth2/${name}`,
  (name) => `/oauth2/./${name}`,
  (name) => `/oauth2/start/../${name}`,
  (name) => `/oauth2/x/%2e%2e/${name}`,
  (name) => `/oauth2%2f${name}`,
  (name) => `/oauth2\\${name}`,
  (name) => `/OAUTH2/${name.toUpperCase()}`,
  (name) => `/%6fauth2/${name}`,
  (name) => `/oauth2/%${name.charCodeAt(0).toString(16)}${name.slice(1)}`,
  (name) => `/oauth2/%25${name.charCodeAt(0).toString(16)}${name.slice(1)}`,
  (name) => `/oauth2/${name};x`,
  (name) => `/oauth2;x/${name}`,
  (name) => `/oauth2/${name}%20`,
  (name) => `/oauth2/${name}%00`,
  (name) => `https://${AUTH}/oauth2/${name}`,
]

/** No answer of the question: neither identity nor an assertion. */
async function asked(context: Context, target: string, headers: readonly string[] = PAGE): Promise<string> {
  const outcome = await send(context, {
    target,
    host: AUTH,
    place: context.started.auth,
    cookie: context.people.staff,
    headers,
  })
  const told = IDENTITY_HEADERS.filter((name) => valuesOf(outcome.answer, name.toLowerCase()).length > 0)
  context.t.same(told, [], `${target} answers the question`)
  context.t.equal(described(outcome.seen), '', target)
  return said(outcome)
}

const atPages = (name: string): Row => ({
  title: `\`/oauth2/${name}\` in ${SPELLINGS.length} spellings`,
  async ask(context) {
    const statuses: string[] = []
    for (const spelling of SPELLINGS) statuses.push(await asked(context, spelling(name)))
    return each(statuses.sort())
  },
})

const TARGETS = [
  'X-Forwarded-Uri: /open/x',
  'X-Original-URL: https://wiki.example.com/open/x',
  'X-Forwarded-Method: GET',
  'X-Original-Method: GET',
  'X-Forwarded-Host: status.example.com',
  'X-Forwarded-Proto: http',
  'Forwarded: host=status.example.com;proto=https',
  'X-Rewrite-URL: /open/x',
  'X-Forwarded-Port: 8443',
  'X-Forwarded-Prefix: /open',
  'X-HTTP-Method-Override: GET',
]

/** At the application: what a client says of its target opens nothing. */
const atApplication = (title: string, lines: readonly string[]): Row => ({
  title,
  async ask(context) {
    const statuses: string[] = []
    for (
      const [target, cookie] of [
        ['/admin/x', context.people.ordinary],
        ['/x', ''],
        ['/ported/x', ''],
      ] as const
    ) {
      const outcome = await send(context, { target, cookie, headers: ['Accept: application/json', ...lines] })
      context.t.equal(described(outcome.seen), '', `${target} with ${lines.join(', ')}`)
      statuses.push(said(outcome))
    }
    return each(statuses)
  },
})

const INTERNAL = [
  '/gatehouse-auth',
  '/gatehouse-auth?x',
  '/%67atehouse-auth',
  '//gatehouse-auth',
  '/x/../gatehouse-auth',
  '/oauth2/auth',
  '/oauth2/forward-auth',
  '/oauth2/ext-authz/open/x',
  '/@gatehouse_answer',
]

export const QUESTION: Column = {
  title: 'The question from outside',
  summary: statuses,
  rows: [
    ...NAMES.map(atPages),
    {
      title: 'the pages, with what a client says of its target',
      async ask(context) {
        const statuses: string[] = []
        for (const line of TARGETS) {
          for (const target of ['/', '/oauth2/sign_in']) statuses.push(await asked(context, target, [...PAGE, line]))
        }
        return each(statuses.sort())
      },
    },
    {
      title: "addresses of the proxy's own, at the application",
      async ask(context) {
        const statuses: string[] = []
        for (const target of INTERNAL) {
          const outcome = await send(context, { target })
          context.t.equal(described(outcome.seen), '', target)
          statuses.push(said(outcome))
        }
        return each(statuses.sort())
      },
    },
    ...TARGETS.map((line) => atApplication(`\`${line}\` at the application`, [line])),
    atApplication('all of them', TARGETS),
  ],
}
