import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { equalInConstantTime } from '../../src/core/constant-time.js'
import { GatehouseError, type ErrorCode } from '../../src/core/errors.js'
import { createFlowSealer, FLOW_LIFETIME_MS, isBinding, newBinding } from '../../src/core/login-flow.js'
import {
  encodeHeaderValue,
  HEADER_VALUES,
  headerDefinitions,
  IDENTITY_HEADERS,
  identityHeaders,
  type HeaderValue,
} from '../../src/core/identity-headers.js'
import type { IdentityClaims } from '../../src/core/identity.js'
import { copyOf, isUtf8 } from '../../src/core/latin1.js'
import { createLogin, type LoginOutcome, type LoginStore } from '../../src/core/login.js'
import { createGroupMapping, labelsOf } from '../../src/core/mapping.js'
import { namedSteps, STEPS, type StepName } from '../../src/core/pipeline/index.js'
import { runPipeline, type StepContext } from '../../src/core/pipeline/pipeline.js'
import { parseReturnTo } from '../../src/core/return-to.js'
import { activityInterval, isSessionId, newSessionId, type SessionRecord } from '../../src/core/session.js'
import { parseTarget, parseTargetUrl, targetUrl } from '../../src/core/target.js'
import { cleanUsername, usernameKey } from '../../src/core/user.js'
import { LOOKUPS, SETTINGS } from '../helpers/pipeline.js'

const SECRET = 'a'.repeat(32)
const OTHER = 'b'.repeat(32)

function codeOf(work: () => unknown): ErrorCode | 'nothing thrown' | 'another error' {
  try {
    work()
    return 'nothing thrown'
  } catch (error) {
    return error instanceof GatehouseError ? error.code : 'another error'
  }
}

// proves: security-state-bound
t.test('a flow survives the trip to Entra and back, in the browser that began it alone', async (t) => {
  let now = 1_000_000
  const flows = createFlowSealer([SECRET], () => now)
  const binding = newBinding()
  const { flow, state } = flows.begin({ returnTo: 'https://app.example.com/x?y=1' }, binding)
  const opened = (text: string, sent: string | undefined) => flows.open(text, () => sent)
  t.strictSame(opened(state, binding), { fault: undefined, flow })
  t.equal(flows.idOf(state), flow.id)
  const { nonce, codeVerifier, ...facts } = flow
  t.ok(nonce && codeVerifier)
  const stray = { fault: 'state_other_browser', flow: facts } // neither nonce nor verifier
  for (const other of [newBinding(), undefined, `${binding}=`]) t.strictSame(opened(state, other), stray)
  for (const bad of [`${state.slice(0, -2)}AA`, `${state}A`, '']) {
    t.equal(codeOf(() => opened(bad, binding)), 'state_invalid', 'no slack in the encoding')
    t.equal(flows.idOf(bad), undefined)
  }
  now += FLOW_LIFETIME_MS + 1
  t.strictSame(opened(state, binding), { fault: 'state_expired', flow: facts })
  now -= 3 * FLOW_LIFETIME_MS
  t.equal(opened(state, binding).fault, 'state_expired', 'nor from the future')
})

t.test('what a flow is begun with comes back with it', async (t) => {
  const flows = createFlowSealer([SECRET], () => 5_000)
  const binding = newBinding()
  const all = { addressStored: true, retry: true, restarted: true, selectAccount: true }
  const wanted = { returnTo: 'https://app.example.com/', ...all, session: 'mark', round: { count: 2, firstAt: 4_000 } }
  const { state } = flows.begin(wanted, binding)
  t.match(flows.open(state, ({ restarted }) => restarted ? binding : undefined), { fault: undefined, flow: wanted })
  const { flow } = flows.begin({ returnTo: 'https://app.example.com/' }, binding)
  const none = { addressStored: false, retry: false, restarted: false, selectAccount: false }
  t.match(flow, { ...none, session: undefined, round: { count: 1, firstAt: 5_000 } })
})

// proves: security-pkce
t.test('flows differ in nonce and verifier, are opened by rotated secrets, and by no other', async (t) => {
  const binding = newBinding()
  const old = createFlowSealer([SECRET])
  const first = old.begin({ returnTo: 'https://app.example.com/' }, binding)
  const second = old.begin({ returnTo: 'https://app.example.com/' }, binding)
  t.not(first.flow.nonce, second.flow.nonce)
  t.not(first.flow.codeVerifier, second.flow.codeVerifier)
  t.not(first.flow.nonce, first.flow.codeVerifier)
  t.match(first.flow.codeVerifier, /^[\w-]{43}$/, 'RFC 7636 section 4.1')
  t.same(createFlowSealer([OTHER, SECRET]).open(first.state, () => binding).flow, first.flow)
  t.equal(codeOf(() => createFlowSealer([OTHER]).open(first.state, () => binding)), 'state_invalid')
  t.ok(first.state.length < 400, `state takes ${first.state.length} characters`)
})

t.test('a binding is 32 bytes of canonical base64url', async (t) => {
  t.ok(isBinding(newBinding()))
  for (const bad of [undefined, '', 'x', `${newBinding()}=`, newBinding().slice(1), `${'A'.repeat(42)}B`]) {
    t.notOk(isBinding(bad), String(bad))
  }
})

const RULES = {
  publicUrl: 'https://auth.example.com',
  redirectDomains: ['.example.com', 'other.test', 'ports.test:*', 'one.test:8443'],
}
const allowedOrigin = (url: string): boolean => {
  const { protocol, hostname, port } = new URL(url)
  if (protocol !== 'https:') return false
  return (hostname === 'auth.example.com' && port === '') || (hostname.endsWith('.example.com') && port === '') ||
    (hostname === 'other.test' && port === '') || hostname === 'ports.test' ||
    (hostname === 'one.test' && port === '8443')
}

t.test('rd leads to allowed origins alone', async (t) => {
  const corpus = readFileSync('test/fixtures/open-redirects.txt', 'utf8').split('\n')
  let refused = 0
  for (const line of corpus) {
    for (const input of [line, decodeSafely(line)]) {
      try {
        const url = parseReturnTo(input, RULES)
        if (!allowedOrigin(url)) t.fail(`${JSON.stringify(input)} leads to ${url}`)
      } catch (error) {
        refused++
        if (!(error instanceof GatehouseError && error.code === 'return_to_refused')) {
          t.fail(`${JSON.stringify(input)}: ${String(error)}`)
        }
      }
    }
  }
  t.ok(refused > corpus.length / 2, `${refused} of ${2 * corpus.length} refused`)
  const seed = process.env.FC_SEED ? { seed: Number(process.env.FC_SEED) } : {}
  const piece = fc.constantFrom(
    'https:',
    'http:',
    '//',
    '/',
    '\\',
    '@',
    ':',
    '.',
    'example.com',
    'evil.test',
    'evilexample.com',
    'auth.example.com',
    '%2f',
    '%5c',
    '%09',
    '\t',
    '\n',
    ' ',
    '#',
    '?',
    'javascript:',
    'data:',
    ';',
    '。',
    '%E3%80%82',
    '[::1]',
    ':443',
    ':8443',
    '\u0000',
    '\u00a0',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(piece, { maxLength: 8 }).map((parts) => parts.join('')),
        fc.string({ unit: 'grapheme' }),
        fc.webUrl(),
      ),
      (input) => {
        try {
          return allowedOrigin(parseReturnTo(input, RULES))
        } catch (error) {
          return error instanceof GatehouseError && error.code === 'return_to_refused'
        }
      },
    ),
    { numRuns: 5_000, ...seed },
  )
})

t.test('rd: what is let through and what is not', async (t) => {
  const ok: [string | undefined, string][] = [
    [undefined, 'https://auth.example.com/'],
    ['', 'https://auth.example.com/'],
    ['/', 'https://auth.example.com/'],
    ['/a/b?c=d#e', 'https://auth.example.com/a/b?c=d#e'],
    ['https://app.example.com/deep?q=https://evil.test/', 'https://app.example.com/deep?q=https://evil.test/'],
    ['https://APP.Example.com:443/x', 'https://app.example.com/x'],
    ['https://other.test', 'https://other.test/'],
    ['https://ports.test:9999/', 'https://ports.test:9999/'],
    ['https://one.test:8443/', 'https://one.test:8443/'],
    ['https://app.example.com/a\u0062?x=a\\b', 'https://app.example.com/ab?x=a\\b'],
    ['https://app.example.com//double', 'https://app.example.com//double'],
  ]
  for (const [input, url] of ok) t.equal(parseReturnTo(input, RULES), url, String(input))
  const bad = [
    'https://evil.test/',
    'https://evilexample.com',
    'https://example.com/',
    'https://example.com.evil.test',
    'https://app.example.com@evil.test/',
    'https://evil.test#.example.com',
    'https://a@app.example.com/',
    '//app.example.com',
    '/\\evil.test',
    'http://app.example.com/',
    'https://app.example.com:8080/',
    'https://one.test/',
    'https://other.test:1/',
    'javascript:alert(1)',
    'https:app.example.com',
    'https:/app.example.com',
    ' https://app.example.com',
    'https://app.example.com/a b',
    `https://app.example.com/${'x'.repeat(7000)}`,
    'app.example.com',
    '?x',
    'https://',
    'https:///x',
  ]
  for (const input of bad) t.equal(codeOf(() => parseReturnTo(input, RULES)), 'return_to_refused', input.slice(0, 60))
})

// proves: adv-return-remedy
t.test('a refused rd names the missing entry of redirectDomains or the cause', async (t) => {
  const rules = { publicUrl: 'https://auth.example.com', redirectDomains: ['.corp.example', 'one.example:8443'] }
  const remedy = (input: string, base?: string): string => {
    try {
      return parseReturnTo(input, rules, base)
    } catch (error) {
      return error instanceof GatehouseError ? error.remedy ?? '' : String(error)
    }
  }
  t.match(
    remedy('https://app.corp.example:8443/x'),
    /Write \.corp\.example:8443 or \.corp\.example:\* in server\.redirectDomains/,
  )
  t.match(remedy('https://one.example/x'), /Write one\.example:443 or one\.example:\*/)
  t.match(remedy('https://elsewhere.example/x'), /Add elsewhere\.example to server\.redirectDomains/)
  t.match(remedy('http://app.corp.example/x'), /https/)
  t.match(remedy('/', 'https://wrong.example'), /Host wrong\.example/)
  t.notMatch(remedy('/', 'https://wrong.example'), /redirectDomains/)
})

t.test('a target is parsed once, strictly', async (t) => {
  const parts = { scheme: 'https', host: 'App.Example.com', uri: '/a?b=c?d', method: 'get' }
  t.same(parseTarget(parts), {
    scheme: 'https',
    host: 'app.example.com',
    hostname: 'app.example.com',
    namedPort: undefined,
    port: undefined,
    path: '/a',
    uri: '/a?b=c?d',
    method: 'GET',
  })
  t.equal(targetUrl(parseTarget(parts)), 'https://app.example.com/a?b=c?d')
  for (const host of ['app.example.com', 'APP.EXAMPLE.COM', 'app.example.com.', 'app.example.com:443']) {
    t.equal(parseTarget({ ...parts, host }).host, 'app.example.com', host)
  }
  t.equal(parseTarget({ ...parts, host: 'app.example.com:8443' }).host, 'app.example.com:8443')
  t.equal(parseTarget({ ...parts, scheme: 'WSS' }).scheme, 'https')
  t.equal(
    targetUrl(parseTarget({ ...parts, uri: '/caf\u00c3\u00a9' })),
    'https://app.example.com/caf%C3%A9',
    'raw UTF-8 is encoded',
  )
  t.equal(parseTarget({ ...parts, host: '[::1]:8080' }).host, '[::1]:8080')
  const malformed: Partial<typeof parts>[] = [
    { scheme: 'ftp' },
    { scheme: '' },
    { scheme: 'https, http' },
    { scheme: 'constructor' },
    { scheme: '__proto__' },
    { scheme: 'https://a' },
    { host: '' },
    { host: 'a, b' },
    { host: 'user@app' },
    { host: 'a/b' },
    { host: 'a b' },
    { host: 'a#b' },
    { host: 'a:99999' },
    { host: 'ex\u00e4mple.com' },
    { host: '.' },
    { host: 'a..' },
    { host: 'a..b' },
    { host: '%61pp.example.com' },
    { host: '0x7f.1' },
    { host: '127.1' },
    { uri: '' },
    { uri: 'x' },
    { uri: '/a#b' },
    { uri: '/%zz' },
    { uri: '/%' },
    { uri: '/%0' },
    { uri: '/a%00' },
    { uri: '/a\u0000' },
    { uri: '/a b' },
    { uri: '/a\tb' },
    { uri: '/a\u0085' },
    { uri: '/a\u007f' },
    { method: '' },
    { method: 'GE T' },
    { method: 'GET,POST' },
    { method: 'G(T' },
  ]
  for (const part of malformed) {
    t.equal(codeOf(() => parseTarget({ ...parts, ...part })), 'target_malformed', JSON.stringify(part))
  }
  t.equal(parseTargetUrl('https://app.example.com', 'GET').path, '/')
  for (
    const url of [
      '',
      '/x',
      'app.example.com/x',
      'https:/app/x',
      'https://a@b/x',
      'https://app.example.com/x#y',
      'https://app/x, https://app/y',
    ]
  ) t.equal(codeOf(() => parseTargetUrl(url, 'GET')), 'target_malformed', url)
  fc.assert(
    fc.property(
      fc.string(),
      fc.string(),
      fc.string(),
      (host, uri, method) =>
        ['nothing thrown', 'target_malformed'].includes(
          codeOf(() => parseTarget({ scheme: 'https', host, uri: `/${uri}`, method: method || 'GET' })),
        ),
    ),
  )
})

t.test('header values are printable ASCII, whatever a name has in it', async (t) => {
  t.equal(encodeHeaderValue('Zoë 100%'), 'Zo%C3%AB 100%25')
  t.equal(encodeHeaderValue('a\r\nX-Evil: 1'), 'a%0D%0AX-Evil: 1')
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      const encoded = encodeHeaderValue(value)
      return /^[\x20-\x7e]*$/.test(encoded) &&
        decodeURIComponent(encoded) === Buffer.from(value, 'utf8').toString('utf8')
    }),
    { numRuns: 1_000 },
  )
})

const SOMEBODY: SessionRecord = {
  publicId: 'ses_x',
  userId: 'u',
  username: 'abe',
  email: 'abe@example.com',
  emailVerified: true,
  name: 'Abe',
  givenName: null,
  familyName: null,
  isStaff: true,
  isSuperuser: false,
  tid: null,
  oid: null,
  loginHint: null,
  groups: ['A', 'B'],
  permissions: [],
  authTime: 0,
  expiresAt: 0,
  expiresInMs: 0,
  rightsEndInMs: null,
  idleMs: 0,
}

// proves: staff-header
t.test('all identity headers are present, also for anonymous requests; a list is never truncated', async (t) => {
  const settings = { families: ['x-auth-request', 'remote', 'assertion'] as const, extra: [], maxBytes: 8192 }
  const definitions = headerDefinitions(settings)
  const of = (session: SessionRecord | undefined, assertion: string | undefined = '') =>
    identityHeaders(session, definitions, assertion, settings.maxBytes)
  t.same(of(SOMEBODY).map(([name]) => name), IDENTITY_HEADERS)
  t.same(of(undefined).map(([name]) => name), IDENTITY_HEADERS)
  t.same(Object.fromEntries(of(SOMEBODY, 'a.b.c')), {
    'X-Auth-Request-User': 'abe',
    'X-Auth-Request-Email': 'abe@example.com',
    'X-Auth-Request-Email-Verified': 'true',
    'X-Auth-Request-Preferred-Username': 'abe',
    'X-Auth-Request-Groups': 'A,B',
    'X-Auth-Request-Staff': 'true',
    'X-Auth-Request-Superuser': 'false',
    'Remote-User': 'abe',
    'Remote-Email': 'abe@example.com',
    'Remote-Name': 'Abe',
    'Remote-Groups': 'A,B',
    'X-Gatehouse-Assertion': 'a.b.c',
  })
  t.same(new Set(of(undefined).map(([, value]) => value)), new Set(['', 'false']))
  t.same(headerDefinitions({ ...settings, families: ['remote'] }).map(({ name }) => name), [
    'Remote-User',
    'Remote-Email',
    'Remote-Name',
    'Remote-Groups',
  ], 'a family that is not wanted, staff and superuser with it, can be left out')
  t.equal(
    codeOf(() => of({ ...SOMEBODY, groups: Array.from({ length: 1000 }, (_, index) => `Group number ${index}`) })),
    'identity_too_large',
  )
  t.equal(codeOf(() => of(SOMEBODY, 'x'.repeat(8192))), 'identity_too_large', 'the assertion counts')
})

t.test('custom headers carry any of the values, with their own separator', async (t) => {
  const person: SessionRecord = {
    ...SOMEBODY,
    groups: ['A|B', 'C 100%'],
    permissions: ['netbox.view'],
    givenName: 'Ab\u00e9',
    tid: 't',
    oid: 'o',
  }
  const values = Object.keys(HEADER_VALUES) as HeaderValue[]
  const definitions = values.map((value) => ({ name: `X-My-${value}`, value, separator: '|' }))
  t.same(Object.fromEntries(identityHeaders(person, definitions, undefined, 8192)), {
    'X-My-username': 'abe',
    'X-My-email': 'abe@example.com',
    'X-My-email_verified': 'true',
    'X-My-name': 'Abe',
    'X-My-given_name': 'Ab%C3%A9',
    'X-My-family_name': '',
    'X-My-groups': 'A%7CB|C 100%25',
    'X-My-permissions': 'netbox.view',
    'X-My-staff': 'true',
    'X-My-superuser': 'false',
    'X-My-oid': 'o',
    'X-My-tid': 't',
    'X-My-sub': 'u',
  }, 'a separator inside a name is encoded: one group never reads as two')
  t.same(
    new Set(identityHeaders(undefined, definitions, undefined, 8192).map(([, value]) => value)),
    new Set(['', 'false']),
  )
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'binary', minLength: 1 })),
      fc.constantFrom(',', '|', ';', '~', ' '),
      (groups, separator) => {
        const [[, value] = ['', '']] = identityHeaders(
          { ...SOMEBODY, groups },
          [{ name: 'X', value: 'groups', separator }],
          undefined,
          1e9,
        )
        const read = value === '' ? [] : value.split(separator).map(decodeURIComponent)
        return JSON.stringify(read) ===
          JSON.stringify(groups.map((group) => Buffer.from(group, 'utf8').toString('utf8')))
      },
    ),
  )
})

// proves: adv-header-latin1
t.test('a latin1 header keeps ISO 8859-1 characters and encodes the others without ambiguity', async (t) => {
  const inLatin1 = (groups: readonly string[]) => {
    const definition = { name: 'X', value: 'groups', separator: '|', encoding: 'latin1' } as const
    return identityHeaders({ ...SOMEBODY, groups }, [definition], undefined, 1e9)[0]?.[1]
  }
  t.equal(inLatin1(['Büro', 'Zoë Ångström', 'A|B']), 'Büro|Zoë Ångström|A%7CB')
  t.equal(inLatin1(['Łódź', '100%']), '%C5%81ód%C5%BA|100%25', 'what it does not have is percent-encoded, and so is %')
  t.equal(inLatin1(['\u0080\u009f\u00a0\u00ad\r\n']), '%C2%80%C2%9F%C2%A0%C2%AD%0D%0A', 'nothing that is not seen')
  fc.assert(fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (one, other) => {
    const [first, second] = [one, other].map((name) => Buffer.from(name, 'utf8').toString('utf8'))
    return inLatin1([one]) !== inLatin1([other]) || first === second
  }))
})

// proves: username-cleaned
t.test('usernames are cleaned as upstream does, and one key is one name', async (t) => {
  t.equal(cleanUsername('Abe Lincoln'), 'AbeLincoln')
  t.equal(cleanUsername('abe.lincoln+x@contoso-1.example'), 'abe.lincoln+x@contoso-1.example')
  t.equal(cleanUsername('山田太郎'), '')
  t.equal(cleanUsername('x'.repeat(200)).length, 150)
  t.equal(usernameKey('ＡＢＥ@contoso.example'), usernameKey('abe@contoso.example'))
})

// proves: flags-independent, ids-in-any-case, causes-collected
t.test('mapping: causes are kept, case does not count, staff and superuser do not imply one another', async (t) => {
  const id = '11111111-2222-3333-4444-55555555aaaa'
  const other = '11111111-2222-3333-4444-55555555bbbb'
  const mapping = createGroupMapping([
    { entraGroup: id.toUpperCase(), groups: ['A', 'B'], staff: false, superuser: true },
    { entraGroup: other, groups: ['B'], staff: true, superuser: false },
  ])
  const { groups, staff, superuser } = mapping.evaluate([id, other])
  t.same([...groups], [['A', [{ row: 1, entraGroup: id }]], ['B', [{ row: 1, entraGroup: id }, {
    row: 2,
    entraGroup: other,
  }]]])
  t.same(staff, [{ row: 2, entraGroup: other }])
  t.same(superuser, [{ row: 1, entraGroup: id }])
  t.same([...mapping.evaluate([]).groups], [])
  t.same(mapping.evaluate([id]).staff, [])
})

// proves: flags-add-up
t.test('mapping: flags and groups add up over all rows, in whatever row they stand', async (t) => {
  const id = (last: string) => `11111111-2222-3333-4444-55555555000${last}`
  const mapping = createGroupMapping([
    { entraGroup: id('1'), groups: [], staff: true, superuser: false },
    { entraGroup: id('2'), groups: [], staff: false, superuser: true },
    { entraGroup: id('3'), groups: ['A'], staff: false, superuser: false },
  ])
  const { groups, staff, superuser } = mapping.evaluate([id('3'), id('2'), id('1')])
  t.same(
    { groups: [...groups.keys()], staff: staff.length, superuser: superuser.length },
    { groups: ['A'], staff: 1, superuser: 1 },
  )
})

t.test('mapping: a group is named by the label of its row, or else by its Object ID', async (t) => {
  const id = (end: string) => `11111111-2222-3333-4444-55555555${end}`
  const [labelled, plain, unmapped] = [id('aaaa'), id('bbbb'), id('cccc')] as const
  const rights = { groups: ['A'], staff: true, superuser: false }
  const rows = [
    { entraGroup: labelled.toUpperCase(), label: 'Network team', ...rights },
    { entraGroup: plain, ...rights },
    { entraGroup: labelled, label: 'Network team', ...rights },
  ]
  t.strictSame([...labelsOf(rows)], [[labelled, 'Network team']])
  t.strictSame([...labelsOf([{ entraGroup: plain }, { entraGroup: unmapped, label: '' }])], [[unmapped, '']])
  const { nameOf, namesOf, evaluate } = createGroupMapping(rows)
  t.strictSame(
    { lower: nameOf(labelled), upper: nameOf(labelled.toUpperCase()), plain: nameOf(plain), none: nameOf(unmapped) },
    { lower: 'Network team', upper: 'Network team', plain, none: unmapped },
  )
  const { staff } = evaluate([plain, labelled])
  t.strictSame(staff.map(({ row }) => row), [1, 2, 3])
  t.strictSame(namesOf(staff), ['Network team', plain], 'without duplicates, in the order of the rows')
  t.strictSame(namesOf(new Set(staff.slice(1, 2))), [plain])
  t.strictSame(namesOf([]), [])
})

const CLAIMS: IdentityClaims = {
  tid: '11111111-2222-3333-4444-555555550000',
  oid: '11111111-2222-3333-4444-555555550001',
  sub: 'x',
  iat: 0,
}

t.test('a session ID is 43 characters of base64url and nothing else', async (t) => {
  const id = newSessionId()
  t.equal(isSessionId(id), true)
  t.equal(isSessionId(`${'A'.repeat(41)}-_`), true)
  const wrong = ['', id.slice(1), `x${id}`, `${id}x`, ` ${id}`, `${id}\n`, `\n${id}`, `${id}=`, `${id.slice(1)}+`]
  for (const text of wrong) t.equal(isSessionId(text), false, JSON.stringify(text))
})

t.test('activity is recorded after a tenth of the idle timeout', async (t) => {
  const hours = (count: number) => count * 3_600_000
  const table = [
    { idle: hours(24), interval: hours(2.4) },
    { idle: hours(8), interval: hours(0.8) },
    { idle: 1_000, interval: 100 },
  ]
  for (const { idle, interval } of table) t.equal(activityInterval(idle), interval, `idle timeout ${idle} ms`)
})

t.test('secrets are equal if they have the same bytes; a difference in length is no error', async (t) => {
  const cases = [
    { a: '', b: '', equal: true },
    { a: 'secret', b: 'secret', equal: true },
    { a: '\u00e9', b: '\u00e9', equal: true },
    { a: 'secret', b: 'secreT', equal: false },
    { a: 'secret', b: 'secre', equal: false },
    { a: 'secret', b: 'secrets', equal: false },
    { a: 'secret', b: '', equal: false },
    { a: '\u00e9', b: 'e', equal: false },
    { a: '\u00e9', b: 'e\u0301', equal: false },
  ]
  for (const { a, b, equal } of cases) t.equal(equalInConstantTime(a, b), equal, JSON.stringify({ a, b }))
})

t.test('header text is copied byte by byte, and is UTF-8 or not by its bytes', async (t) => {
  const bytes = String.fromCharCode(...Array.from({ length: 256 }, (_, code) => code))
  for (const text of ['', 'abc', '\u00e9', '\u00c3\u00a9', bytes]) t.equal(copyOf(text), text, JSON.stringify(text))
  const utf8 = ['', 'abc', '\u007f', '\u00c3\u00a9', 'a\u00c3\u00a9b', '\u00e2\u0082\u00ac', '\u00f0\u009f\u0098\u0080']
  for (const text of utf8) t.equal(isUtf8(text), true, JSON.stringify(text))
  const other = [
    '\u0080',
    '\u00ff',
    '\u00e9',
    'a\u00e9',
    '\u00c3',
    '\u00c3\u00a9\u00c3',
    '\u00c0\u00af',
    '\u00ed\u00a0\u0080',
  ]
  for (const text of other) t.equal(isUtf8(text), false, JSON.stringify(text))
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => isUtf8(Buffer.from(text).toString('latin1'))))
})

t.test('the steps by themselves', async (t) => {
  const context = (more: Partial<StepContext>): StepContext => ({
    claims: CLAIMS,
    groupIds: [],
    plan: {},
    settings: SETTINGS,
    lookups: LOOKUPS,
    ...more,
  })

  // proves: no-id-no-person
  await t.test('social_uid: a login without tenant and object ID is refused, no user "undefined"', async (t) => {
    for (const name of ['tid', 'oid']) {
      for (const value of ['', undefined, null]) {
        t.equal(
          codeOf(() => STEPS.social_uid(context({ claims: { ...CLAIMS, [name]: value } as never }))),
          'id_token_claims',
          `${name} ${value}`,
        )
      }
    }
  })

  await t.test('a step that throws and an incomplete plan refuse the login with an error code', async (t) => {
    const run = (steps: Parameters<typeof runPipeline>[0]) => runPipeline(steps, context({}))
    await t.rejects(
      run([{
        name: 'x',
        run: () => {
          throw new TypeError('x')
        },
      }]),
      { code: 'step_failed', facts: { step: 'x' } },
    )
    await t.rejects(run(namedSteps(['social_details', 'social_uid'])), { code: 'step_failed' })
    await t.rejects(
      run([{
        name: 'x',
        run: () => {
          throw new GatehouseError('not_allowed')
        },
      }]),
      { code: 'not_allowed' },
    )
  })
})

// proves: steps-run-again
t.test('a login whose plan is out of date runs its steps again, and gives up in the end', async (t) => {
  const outcome: LoginOutcome = {
    userId: 'u',
    username: 'abe',
    created: true,
    groupsAdded: [],
    groupsRemoved: [],
    groups: [],
    staff: false,
    superuser: false,
    superseded: false,
    refused: false,
    session: null,
    keepsId: false,
    sessionsEnded: 0,
  }
  let [outdated, looked, completed] = [0, 0, 0]
  const store: LoginStore = {
    ...LOOKUPS,
    userByIdentity: async () => {
      looked++
      return undefined
    },
    begin: async () => {},
    now: async () => 'now',
    commit: async () => outdated-- > 0 ? 'outdated' : outcome,
  }
  const login = createLogin({
    store,
    source: { identify: async () => ({ claims: CLAIMS, memberships: { groupIds: [], readAt: 'now', requests: 1 } }) },
    pipeline: () => ({ steps: namedSteps(Object.keys(STEPS) as StepName[]), settings: SETTINGS }),
    report: {
      groupMissing: () => {},
      completed: () => {
        completed++
      },
    },
  })
  const request = {
    grant: { code: 'c', codeVerifier: 'v', nonce: 'n', correlationId: 'x' },
    flow: Buffer.of(),
    session: { id: 'i', publicId: 'p', replaces: undefined, sibling: false },
    client: '192.0.2.10',
  }
  outdated = 2
  t.equal(await login(request), outcome)
  t.same(
    { lookups: looked, completed },
    { lookups: 3, completed: 1 },
    'each time on what is stored then, and reported once',
  )
  outdated = Infinity
  await t.rejects(login(request), { code: 'login_contended' })
  t.equal(completed, 1)
})

function decodeSafely(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
