// The limit of the identity headers, and their values for anonymous requests.
import t from 'tap'
import { GatehouseError } from '../../src/core/errors.js'
import {
  HEADER_VALUES,
  headerDefinitions,
  identityHeaders,
  type HeaderDefinition,
  type HeaderPair,
  type HeaderValue,
} from '../../src/core/identity-headers.js'
import type { SessionRecord } from '../../src/core/session.js'

const SESSION: SessionRecord = {
  publicId: 'ses_x',
  userId: 'u',
  username: 'abe',
  email: null,
  emailVerified: false,
  name: null,
  givenName: null,
  familyName: null,
  isStaff: false,
  isSuperuser: true,
  tid: null,
  oid: null,
  loginHint: null,
  groups: ['A', 'B', 'C'],
  permissions: [],
  authTime: 0,
  expiresAt: 0,
  expiresInMs: 0,
  rightsEndInMs: null,
  idleMs: 0,
}

/** The headers, or the error. */
function headersWithin(
  maxBytes: number,
  definitions: readonly HeaderDefinition[],
  session: SessionRecord | undefined,
  assertion?: string,
): readonly HeaderPair[] | GatehouseError {
  try {
    return identityHeaders(session, definitions, assertion, maxBytes)
  } catch (error) {
    if (error instanceof GatehouseError) return error
    throw error
  }
}

const of = (name: string, value: HeaderValue): HeaderDefinition => ({ name, value, separator: ',' })

t.test('headers take the bytes of their lines, with colon, blank and line end, and may take maxBytes', async (t) => {
  const table: readonly {
    title: string
    definitions: readonly HeaderDefinition[]
    assertion?: string
    lines: string
  }[] = [
    { title: 'no header', definitions: [], lines: '' },
    { title: 'one', definitions: [of('X-A', 'username')], lines: 'X-A: abe\r\n' },
    { title: 'an empty value', definitions: [of('X-A', 'email')], lines: 'X-A: \r\n' },
    {
      title: 'several',
      definitions: [of('X-A', 'username'), of('X-Long', 'groups'), of('X-B', 'superuser')],
      lines: 'X-A: abe\r\nX-Long: A,B,C\r\nX-B: true\r\n',
    },
    { title: 'the assertion alone', definitions: [], assertion: 'a.b.c', lines: 'X-Gatehouse-Assertion: a.b.c\r\n' },
    { title: 'an empty assertion', definitions: [], assertion: '', lines: 'X-Gatehouse-Assertion: \r\n' },
    {
      title: 'with an assertion',
      definitions: [of('X-A', 'username')],
      assertion: 'a.b.c',
      lines: 'X-A: abe\r\nX-Gatehouse-Assertion: a.b.c\r\n',
    },
  ]
  for (const { title, definitions, assertion, lines } of table) {
    const pairs = lines.split('\r\n').slice(0, -1).map((line) => line.split(': '))
    t.strictSame(headersWithin(lines.length, definitions, SESSION, assertion), pairs, `${title}: at the limit`)
    const above = headersWithin(lines.length - 1, definitions, SESSION, assertion)
    t.match(above, { code: 'identity_too_large' }, `${title}: one byte above`)
  }
})

t.test('encoded characters count as they are sent', async (t) => {
  const session = { ...SESSION, username: '\u00e9' }
  t.strictSame(headersWithin(13, [of('X-A', 'username')], session), [['X-A', '%C3%A9']])
  t.match(headersWithin(12, [of('X-A', 'username')], session), { code: 'identity_too_large' })
  const latin1: HeaderDefinition = { ...of('X-A', 'username'), encoding: 'latin1' }
  t.strictSame(headersWithin(8, [latin1], session), [['X-A', '\u00e9']])
  t.match(headersWithin(7, [latin1], session), { code: 'identity_too_large' })
})

t.test('headers that are too large name the user and the number of groups in the log', async (t) => {
  const error = headersWithin(0, [of('X-A', 'groups')], SESSION)
  t.match(error, { code: 'identity_too_large', remedy: /\S/ })
  if (!(error instanceof GatehouseError)) return
  t.strictSame(error.facts, { username: 'abe', groups: 3 })
  t.match(error.message, /\b12\b.*\b0\b/, 'the detail has the bytes and the limit')
  const anonymous = headersWithin(0, [of('X-A', 'groups')], undefined)
  t.match(anonymous, { code: 'identity_too_large' }, 'of an anonymous request too')
})

t.test('for an anonymous request the flags are false and every other value is empty', async (t) => {
  const definitions = (Object.keys(HEADER_VALUES) as HeaderValue[]).map((value) => of(value, value))
  t.strictSame(Object.fromEntries(identityHeaders(undefined, definitions, undefined, 8192)), {
    username: '',
    email: '',
    email_verified: 'false',
    name: '',
    given_name: '',
    family_name: '',
    groups: '',
    permissions: '',
    staff: 'false',
    superuser: 'false',
    oid: '',
    tid: '',
    sub: '',
  })
})

t.test('the headers of a configuration are its families in their order, then its own ones', async (t) => {
  const own = of('X-Mine', 'sub')
  const names = (...families: readonly ('x-auth-request' | 'remote' | 'assertion')[]) =>
    headerDefinitions({ families, extra: [own], maxBytes: 1 }).map(({ name }) => name)
  const remote = ['Remote-User', 'Remote-Email', 'Remote-Name', 'Remote-Groups']
  const request = ['User', 'Email', 'Email-Verified', 'Preferred-Username', 'Groups', 'Staff', 'Superuser']
    .map((name) => `X-Auth-Request-${name}`)
  t.strictSame(names(), ['X-Mine'])
  t.strictSame(names('assertion'), ['X-Mine'], 'the assertion is not a property of the user')
  t.strictSame(names('remote'), [...remote, 'X-Mine'])
  t.strictSame(names('remote', 'assertion', 'x-auth-request'), [...remote, ...request, 'X-Mine'])
})
