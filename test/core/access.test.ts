// Access rules without HTTP: which rule decides, by an oracle that knows no index; and every encoding of a protected
// path, by people who try.
import { posix } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import {
  compileAccess,
  describeRule,
  describeAllow,
  type AccessRule,
  type AccessRules,
  type Allow,
  type SessionRights,
} from '../../src/core/access.js'
import { GatehouseError } from '../../src/core/errors.js'
import { compilePath, matchesPath } from '../../src/core/path-pattern.js'
import { pathInterpretations } from '../../src/core/path-interpretations.js'
import { parseTargetUrl, type Target } from '../../src/core/target.js'
import { networkTest } from '../../src/net/networks.js'
import { targetOf } from '../helpers/targets.js'

const RUNS = { numRuns: 2_000 }
const PERSON: SessionRights = { groups: [], permissions: [], isStaff: false, isSuperuser: false }
const STAFF: SessionRights = { ...PERSON, isStaff: true }
const SUPERUSER: SessionRights = { ...PERSON, isSuperuser: true }

const rule = (allow: Allow | Partial<Exclude<Allow, string>>, parts: Partial<AccessRule> = {}): AccessRule => ({
  hosts: ['app.test'],
  networks: undefined,
  methods: undefined,
  paths: undefined,
  ...parts,
  allow: typeof allow === 'string'
    ? allow
    : { groups: [], permissions: [], staff: undefined, superuser: undefined, ...allow },
})
const STAFF_ONLY = { staff: true } as const
const compile = (rules: readonly AccessRule[], fallback: AccessRules['default'] = 'authenticated') =>
  compileAccess({ default: fallback, rules }, networkTest)
/** By a proxy that says which port it was reached on: the one of the address. */
const reached = (url: string, method: string): Target => {
  const { port, protocol } = new URL(url)
  return parseTargetUrl(url, method, port === '' ? { 'https:': '443', 'wss:': '443' }[protocol] ?? '80' : port)
}
const ask = (method: string, url: string, address: string | undefined = '192.0.2.7') => ({
  target: reached(url, method),
  address: () => address,
})
const decided = (
  policy: ReturnType<typeof compile>,
  method: string,
  url: string,
  session: SessionRights | undefined,
  address?: string,
) => {
  const decision = policy.decide(ask(method, url, address), session)
  return decision.allow ? 'allowed' : decision.reason
}

t.test('a rule in words, for whom it refuses', async (t) => {
  const said = (parts: Partial<AccessRule>) => describeRule(rule('deny', parts))
  t.equal(said({}), 'app.test')
  t.equal(
    said({ methods: ['GET', 'HEAD'], paths: ['/admin', '/admin/**'] }),
    'GET or HEAD of app.test, /admin or /admin/**',
  )
  t.equal(said({ networks: ['10.0.0.0/8'] }), 'app.test, from certain networks', 'networks are not told')
  t.equal(
    said({ hosts: ['a.test', 'b.test', 'c.test', 'd.test', 'e.test', 'f.test', 'g.test'] }),
    'a.test or b.test or c.test or d.test or e.test or 2 more',
  )
})

t.test('anonymous requests match no group rule; superusers always pass; otherwise the default applies', async (t) => {
  const [open, closed] = [compile([]), compile([], 'deny')]
  t.ok(open.ignoresTarget)
  t.match(open.decide(undefined, undefined), {
    allow: false,
    reason: 'not_signed_in',
    grounds: { path: 'access.default', allow: 'authenticated' },
  })
  t.match(open.decide(undefined, PERSON), { allow: true, grounds: { path: 'access.default', allow: 'authenticated' } })
  t.match(closed.decide(undefined, PERSON), { allow: false, reason: 'not_allowed' })
  t.ok(closed.decide(undefined, SUPERUSER).allow)
  for (const allow of ['deny', { staff: true }, { groups: ['x'] }] as const) {
    t.equal(decided(compile([rule(allow)]), 'GET', 'https://app.test/', SUPERUSER), 'allowed')
  }
})

t.test('whom a rule lets in', async (t) => {
  const cases: readonly [Allow | Partial<Exclude<Allow, string>>, SessionRights | undefined, boolean][] = [
    ['anyone', undefined, true],
    ['authenticated', undefined, false],
    ['authenticated', PERSON, true],
    ['deny', undefined, false],
    ['deny', STAFF, false],
    [{ staff: true }, PERSON, false],
    [{ staff: true }, STAFF, true],
    [{ staff: true }, undefined, false],
    [{ superuser: true }, STAFF, false],
    [{ superuser: true }, SUPERUSER, true],
    [{ groups: ['A', 'B'] }, { ...PERSON, groups: ['B'] }, true],
    [{ groups: ['A'] }, { ...PERSON, groups: ['a'] }, false],
    [{ groups: ['A'], permissions: ['x.y'] }, { ...PERSON, permissions: ['x.y'] }, true],
    [{}, STAFF, false],
  ]
  for (const [allow, session, expected] of cases) {
    t.equal(
      decided(compile([rule(allow)]), 'GET', 'https://app.test/', session) === 'allowed',
      expected,
      JSON.stringify([allow, session]),
    )
  }
  t.equal(
    describeAllow({ groups: ['A', 'B'], permissions: ['x.y'], staff: true, superuser: undefined }),
    'members of A or B, holders of x.y, staff, superusers',
  )
})

t.test('hosts are compared without case, trailing dot and default port; a wildcard matches subdomains', async (t) => {
  const policy = compile([
    rule('anyone'),
    rule('anyone', { hosts: ['*.wild.test', '*.deep.wild.test'] }),
    rule('anyone', { hosts: ['ported.test:8443', '[::1]:8443'] }),
    rule('anyone', { hosts: ['tls.test:443'] }),
  ], 'deny')
  const open = [
    'https://app.test/',
    'http://APP.TEST/',
    'https://app.test./',
    'https://app.test:443/',
    'https://app.test:8443/',
    'wss://app.test/',
    'https://a.wild.test/',
    'https://a.b.deep.wild.test/',
    'https://ported.test:8443/',
    'https://tls.test/',
    'http://tls.test:443/',
    'http://[::1]:8443/',
  ]
  const closed = [
    'https://wild.test/',
    'https://xapp.test/',
    'https://app.test.evil.test/',
    'https://evilwild.test/',
    'https://a.wild.test.evil/',
    'https://ported.test/',
    'https://ported.test:8444/',
    'http://tls.test/',
    'https://other/',
    'http://[::1]/',
  ]
  for (const url of open) t.equal(decided(policy, 'GET', url, PERSON), 'allowed', url)
  for (const url of closed) t.equal(decided(policy, 'GET', url, PERSON), 'not_allowed', url)
})

t.test('a port counts where the proxy vouches for it; elsewhere every port that a rule names, and none', async (t) => {
  const policy = compile([
    rule({ superuser: true }, { hosts: ['closed.test:8443'] }),
    rule('anyone', { hosts: ['closed.test'] }),
    rule('anyone', { hosts: ['opened.test:8443'] }),
    rule('anyone', { hosts: ['two.test:1', 'two.test:2'] }),
    rule(STAFF_ONLY, { hosts: ['two.test'] }),
    rule('deny', { hosts: ['*.wild.test:9'] }),
    rule('anyone', { hosts: ['*.wild.test'] }),
    rule('anyone', { hosts: ['plain.test'] }),
  ], 'deny')
  const decide = (host: string, port?: string, session: SessionRights | undefined = PERSON) =>
    policy.decide({ target: parseTargetUrl(`https://${host}/`, 'GET', port), address: () => undefined }, session).allow
  t.strictSame([
    decide('closed.test', '8443'),
    decide('closed.test:8443', '8443'),
    decide('closed.test', '443'),
    decide('closed.test:443', '443'),
  ], [false, false, true, true])
  for (const host of ['closed.test', 'closed.test:8443', 'closed.test:1', 'closed.test:443']) {
    t.notOk(decide(host), `${host}: the port in Host closes and opens nothing`)
  }
  t.ok(decide('closed.test:1', undefined, SUPERUSER))
  t.strictSame({ 8443: decide('opened.test', '8443'), 443: decide('opened.test', '443') }, { 8443: true, 443: false })
  for (const host of ['opened.test', 'opened.test:8443']) t.notOk(decide(host), host)
  t.strictSame([
    decide('two.test', '1'),
    decide('two.test', '2'),
    decide('two.test', '3'),
    decide('two.test:1'),
    decide('two.test', undefined, STAFF),
  ], [true, true, false, false, true])
  t.strictSame([
    decide('a.wild.test', '9'),
    decide('a.wild.test', '8'),
    decide('a.wild.test:8'),
    decide('wild.test', '8'),
  ], [false, true, false, false])
  t.strictSame(
    [decide('plain.test'), decide('plain.test:1'), decide('plain.test', '5')],
    [true, true, true],
    'a rule without a port is about every port',
  )
})

t.test('a host that names another port than the proxy is malformed', async (t) => {
  const malformed = (url: string, port: string) => {
    try {
      return parseTargetUrl(url, 'GET', port).port === undefined
    } catch (error) {
      return error instanceof GatehouseError && error.code === 'target_malformed'
    }
  }
  for (
    const [url, port] of [
      ['https://a.test/', '443'],
      ['https://a.test:443/', '443'],
      ['https://a.test:8443/', '8443'],
      ['https://a.test/', '8443'],
      ['http://a.test:0080/', '80'],
      ['https://[::1]:5/', '5'],
    ] as const
  ) t.notOk(malformed(url, port), `${url} ${port}`)
  for (
    const [url, port] of [['https://a.test:8443/', '443'], ['https://a.test:443/', '8443'], [
      'https://a.test:1/',
      '8443',
    ], ['http://a.test:80/', '443']] as const
  ) t.ok(malformed(url, port), `${url} ${port}`)
  for (const port of ['', '0', '65536', '443,443', '443, 443', '443x', '-1', ' 443', '0443', 'https', '4'.repeat(40)]) {
    t.ok(malformed('https://a.test/', port), `X-Forwarded-Port: ${port}`)
  }
})

// proves: adv-path-read-once
t.test('a path that takes work is read once for one target', async (t) => {
  const policy = compile([
    rule('anyone', { paths: ['/static/**'] }),
    rule('authenticated', { networks: ['10.0.0.0/8'] }),
  ])
  const target = { ...parseTargetUrl('https://app.test/static/..%2fadmin', 'GET'), reads: 0 }
  const { path } = target
  Object.defineProperty(target, 'path', {
    get: () => {
      target.reads++
      return path
    },
  })
  const question = { target, address: () => '10.1.1.1' }
  policy.decide(question, undefined)
  const first = target.reads
  policy.decide(question, PERSON)
  policy.grounds(question)
  t.strictSame({ pathWasRead: first > 0, reads: target.reads }, { pathWasRead: true, reads: first })
})

t.test('a host without rules is distinguished from a host whose rules did not match', async (t) => {
  const policy = compile([rule('anyone', { paths: ['/open'] }), rule('deny', { hosts: ['*.wild.test'] })])
  const unnamed = (host: string) => policy.grounds(ask('GET', `https://${host}/x`))[0]?.hostUnnamed === true
  t.strictSame(['app.test', 'a.wild.test', 'wild.test', 'other.test', 'gatehouse'].map(unnamed), [
    false,
    false,
    true,
    true,
    true,
  ])
  t.equal(
    compile([]).grounds(ask('GET', 'https://app.test/'))[0]?.hostUnnamed,
    undefined,
    'where there are no rules every host is meant',
  )
})

t.test('paths: * is one segment, a final ** any number; protection applies to every spelling', async (t) => {
  const matches = (pattern: string, path: string) => matchesPath(compilePath(pattern), path)
  for (
    const [pattern, path] of [
      ['/', '/'],
      ['/a', '/a'],
      ['/a/*', '/a/b'],
      ['/a/*/c', '/a/b/c'],
      ['/a/**', '/a/'],
      ['/a/**', '/a/b/c/'],
      ['/**', '/'],
      ['/**', '/x/y'],
      ['/a/', '/a/'],
    ] as const
  ) t.ok(matches(pattern, path), `${pattern} ${path}`)
  for (
    const [pattern, path] of [
      ['/', '/a'],
      ['/a', '/a/'],
      ['/a', '/A'],
      ['/a/*', '/a/'],
      ['/a/*', '/a/b/c'],
      ['/a/**', '/a'],
      ['/a/**', '/ab/c'],
      ['/*', '/a/b'],
    ] as const
  ) t.notOk(matches(pattern, path), `${pattern} ${path}`)
  t.ok(matchesPath(compilePath('/caf\u00e9'), pathInterpretations('/caf%C3%A9')[0] ?? ''))
  const policy = compile([
    rule('anyone', { paths: ['/static/**', '/login'] }),
    rule({ staff: true }, { paths: ['/admin', '/admin/**'] }),
  ])
  for (
    const path of [
      '/admin',
      '/admin/',
      '/%61dmin',
      '/admin/x?y',
      '/x/../admin',
      '/static/../admin',
      '/static/..%2fadmin',
      '/static/%2e%2e/admin',
      '/static/%2e%2e%2fadmin/x',
      '//admin',
      '/./admin',
      '/admin;x=1/y',
      '/admin;/..;/static/a',
      '/static/..;/admin',
      '\\admin',
      '/static\\..\\admin',
      '/static/%5c..%5c..%5cadmin',
      '/static/%252e%252e/admin',
      '/static/..%252fadmin',
      '/static/%25252e%25252e/admin',
      '/static/%c0%ae%c0%ae/admin',
      '/static/%ff',
      '/admin%2f',
      '/admin%3bx',
      '/admin%3fx',
      '/admin%23x',
      '/admin#x'.replace('#', '%23'),
      `/static/${'%2e%2e/'.repeat(30)}admin`,
    ]
  ) {
    const url = `https://app.test${path.startsWith('/') ? path : `/${path}`}`
    t.equal(decided(policy, 'GET', url, PERSON), 'not_allowed', path.slice(0, 60))
    t.equal(decided(policy, 'GET', url, undefined), 'not_signed_in', path.slice(0, 60))
    t.equal(decided(policy, 'GET', url, SUPERUSER), 'allowed', path.slice(0, 60))
  }
  for (
    const path of [
      '/static/app.js',
      '/static/a%20b',
      '/static/a.b.c',
      '/static/..a',
      '/static/%C3%A9',
      '/static/a//b',
      '/static/a;v=1',
      '/login',
    ]
  ) t.equal(decided(policy, 'GET', `https://app.test${path}`, undefined), 'allowed', path)
  t.equal(
    decided(compile([rule('anyone')]), 'GET', 'https://app.test/a/..%2f..;/%c0%ae', undefined),
    'allowed',
    "where no path rule applies to the host it is nobody's business",
  )
})

// proves: adv-unreadable-address
t.test('methods, networks and addresses that cannot be read', async (t) => {
  const policy = compile([
    rule('deny', { networks: ['203.0.113.0/24'] }),
    rule('anyone', { networks: ['10.0.0.0/8', 'loopback', '2001:db8::/32'], paths: ['/api/**'] }),
    rule('authenticated', { methods: ['GET', 'HEAD'] }),
    rule({ permissions: ['app.change'] }),
  ])
  t.equal(decided(policy, 'GET', 'https://app.test/api/x', undefined, '10.1.2.3'), 'allowed')
  t.equal(decided(policy, 'POST', 'https://app.test/api/x', undefined, '::ffff:10.1.2.3'), 'allowed')
  t.equal(decided(policy, 'GET', 'https://app.test/api/x', undefined, '2001:db8::5'), 'allowed')
  t.equal(decided(policy, 'GET', 'https://app.test/api/x', undefined, '11.1.2.3'), 'not_signed_in')
  t.equal(decided(policy, 'GET', 'https://app.test/', STAFF, '203.0.113.9'), 'not_allowed')
  t.equal(decided(policy, 'GET', 'https://app.test/', STAFF), 'allowed')
  t.equal(decided(policy, 'POST', 'https://app.test/', STAFF), 'not_allowed')
  t.equal(decided(policy, 'get', 'https://app.test/', STAFF), 'allowed')
  for (const method of ['FOO', 'GETT', 'X-HTTP']) {
    t.equal(
      decided(policy, method, 'https://app.test/', { ...PERSON, permissions: ['app.change'] }),
      'not_allowed',
      `${method}: no rule was written for it`,
    )
  }
  t.equal(
    decided(compile([rule('authenticated')]), 'FOO', 'https://app.test/', PERSON),
    'allowed',
    "where no rule tells methods apart they are nobody's business",
  )
  for (const address of ['unknown', '10.1.2.3:4711', '', undefined]) {
    t.equal(
      policy.decide({ target: parseTargetUrl('https://app.test/api/x', 'GET'), address: () => address }, undefined)
        .allow,
      false,
      `${address}: no network lets it in`,
    )
    t.equal(
      policy.decide({ target: parseTargetUrl('https://app.test/', 'GET'), address: () => address }, STAFF).allow,
      false,
      `${address}: and no network is escaped by it`,
    )
  }
})

t.test('NetBox by permissions: readers view, engineers change, staff administer, superusers do all', async (t) => {
  const hosts = ['netbox.test']
  const policy = compile([
    rule('anyone', { hosts, paths: ['/static/**'] }),
    rule({ staff: true }, { hosts, paths: ['/admin', '/admin/**'] }),
    rule({ permissions: ['netbox.view', 'netbox.change'] }, { hosts, methods: ['GET', 'HEAD', 'OPTIONS'] }),
    rule({ permissions: ['netbox.change'] }, { hosts }),
  ], 'deny')
  const people: Readonly<Record<string, SessionRights | undefined>> = {
    nobody: undefined,
    guest: PERSON,
    'read-only': { ...PERSON, permissions: ['netbox.view'] },
    engineer: { ...PERSON, permissions: ['netbox.change'] },
    staff: { ...STAFF, permissions: ['netbox.view'] },
    superuser: SUPERUSER,
  }
  const table: readonly [string, string, string][] = [
    // method, path, who passes
    ['GET', '/static/netbox.css', 'nobody guest read-only engineer staff superuser'],
    ['GET', '/dcim/devices/', 'read-only engineer staff superuser'],
    ['POST', '/dcim/devices/add/', 'engineer superuser'],
    ['PATCH', '/api/dcim/devices/1/', 'engineer superuser'],
    ['DELETE', '/dcim/devices/1/', 'engineer superuser'],
    ['GET', '/admin/', 'staff superuser'],
    ['POST', '/admin/auth/user/1/change/', 'staff superuser'],
    ['GET', '/static/../admin/', 'staff superuser'],
  ]
  for (const [method, path, passing] of table) {
    for (const [name, session] of Object.entries(people)) {
      t.equal(
        decided(policy, method, `https://netbox.test${path}`, session) === 'allowed',
        passing.split(' ').includes(name),
        `${name} ${method} ${path}`,
      )
    }
  }
})

// An oracle that knows nothing of the index: every rule, in order, by the words of the documentation.
const HOSTS = ['a.test', 'b.a.test', 'c.b.a.test', 'test', 'z.test']
const SEGMENTS = ['x', 'y', 'admin']
const anyRule = fc.record({
  hosts: fc.uniqueArray(
    fc.tuple(fc.constantFrom('', '*.'), fc.constantFrom(...HOSTS), fc.constantFrom('', ':8443', ':443')).map((parts) =>
      parts.join('')
    ),
    { minLength: 1, maxLength: 3 },
  ),
  networks: fc.option(fc.subarray(['10.0.0.0/8', '192.0.2.0/24'], { minLength: 1 }), { nil: undefined }),
  methods: fc.option(fc.subarray(['GET', 'POST', 'PUT'], { minLength: 1 }), { nil: undefined }),
  paths: fc.option(
    fc.array(
      fc.array(fc.constantFrom(...SEGMENTS, '*'), { maxLength: 3 }).chain((segments) =>
        fc.constantFrom(`/${segments.join('/')}`, `/${[...segments, '**'].join('/')}`)
      ),
      { minLength: 1, maxLength: 2 },
    ),
    { nil: undefined },
  ),
  allow: fc.constantFrom('anyone' as const, 'authenticated' as const, 'deny' as const),
})
const anyQuestion = fc.record({
  host: fc.constantFrom(...HOSTS, 'else.where'),
  port: fc.constantFrom('', ':8443', ':443'),
  path: fc.array(fc.constantFrom(...SEGMENTS, ''), { maxLength: 4 }),
  method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'),
  address: fc.constantFrom('10.1.1.1', '192.0.2.9', '198.51.100.1'),
})

function byTheBook(
  rules: readonly AccessRule[],
  { host, port, path, method, address }: { host: string, port: string, path: string, method: string, address: string },
): string {
  const inside = (network: string) => address.startsWith(network.startsWith('10.') ? '10.' : '192.0.2.')
  const found = rules.findIndex((each) =>
    each.hosts.some((pattern) => {
      const [name = '', wanted] = pattern.split(':')
      if (wanted !== undefined && wanted !== (port.slice(1) || '443')) return false
      return name.startsWith('*.') ? host.endsWith(name.slice(1)) : host === name
    }) && (each.methods?.includes(method) ?? true) && (each.networks?.some(inside) ?? true) &&
    (each.paths?.some((pattern) =>
      new RegExp(`^${pattern.replaceAll('**', '\u0000').replaceAll('*', '[^/]+').replaceAll('\u0000', '.*')}$`).test(
        path,
      )
    ) ?? true)
  )
  return found === -1 ? 'access.default' : `access.rules[${found}]`
}

t.test('the rule index agrees with a linear scan', async () => {
  fc.assert(
    fc.property(fc.array(anyRule, { maxLength: 6 }), anyQuestion, (rules, { path: segments, ...question }) => {
      const path = `/${segments.filter((segment, index) => segment !== '' || index === segments.length - 1).join('/')}`
      const [first, ...more] = compile(rules).grounds({
        target: reached(`https://${question.host}${question.port}${path}`, question.method),
        address: () => question.address,
      })
      return more.length === 0 && first?.path === byTheBook(rules, { ...question, path })
    }),
    RUNS,
  )
})

t.test('mayLetAnyoneIn is true only for hosts with a rule that allows anyone', async (t) => {
  const seen = { open: 0, closed: 0 }
  fc.assert(
    fc.property(fc.array(anyRule, { maxLength: 6 }), anyQuestion, (rules, { host, port, path, method, address }) => {
      const policy = compile(rules)
      const may = policy.mayLetAnyoneIn(host)
      const byName = rules.some(({ allow, hosts }) =>
        allow === 'anyone' && hosts.some((pattern) => {
          const [name = ''] = pattern.split(':')
          return name.startsWith('*.') ? host.endsWith(name.slice(1)) : host === name
        })
      )
      const passes = policy.decide({
        target: reached(`https://${host}${port}/${path.join('/')}`, method),
        address: () => address,
      }, undefined).allow
      seen[may ? 'open' : 'closed']++
      return may === byName && (may || !passes)
    }),
    RUNS,
  )
  for (const [what, count] of Object.entries(seen)) t.ok(count > 200, `${what}: ${count}`)
})

/** Ways to write a path so that some program still reads `/admin/...`. */
const DISGUISES: readonly ((path: string, at: number) => string)[] = [
  (path, at) => encodedAt(path, at),
  (path, at) => path.replace(/%/g, (sign, offset: number) => offset % (at + 1) === 0 ? '%25' : sign),
  (path, at) => insertedAt(path, at, '/./'),
  (path, at) => insertedAt(path, at, '/x/../'),
  (path, at) => insertedAt(path, at, '//'),
  (path, at) => insertedAt(path, at, ';v=1/'),
  (path, at) => insertedAt(path, at, '/x/..;/'),
  (path, at) => insertedAt(path, at, '\\'),
  (path, at) => insertedAt(path, at, '%2F'),
  (path, at) => insertedAt(path, at, '%5c'),
  (path) => `/static/..${path}`,
  (path) => `/static/..%2f${path.slice(1)}`,
  (path) => path.replaceAll('..', '%2e%2E'),
]

function encodedAt(path: string, at: number): string {
  const index = 1 + at % Math.max(1, path.length - 1)
  const char = path[index]
  return char === undefined || char === '%' || /%.?$/.test(path.slice(Math.max(0, index - 2), index))
    ? path
    : `${path.slice(0, index)}%${char.charCodeAt(0).toString(16)}${path.slice(index + 1)}`
}

/** In place of the slash number `at`. */
function insertedAt(path: string, at: number, text: string): string {
  const slashes = [...path.matchAll(/\//g)].map(({ index }) => index).slice(1)
  const index = slashes[at % Math.max(1, slashes.length)]
  return index === undefined ? path : `${path.slice(0, index)}${text}${path.slice(index + 1)}`
}

// proves: adv-decoded-again
t.test('no encoding of a protected path is let through', async (t) => {
  const policy = compile([
    rule({ staff: true }, { paths: ['/admin/**', '/a/b/c'] }),
    rule('anyone', { paths: ['/**'] }),
  ])
  let tried = 0
  fc.assert(
    fc.property(
      fc.constantFrom('/admin/users/1', '/admin/x', '/a/b/c'),
      fc.array(fc.tuple(fc.nat({ max: DISGUISES.length - 1 }), fc.nat({ max: 20 })), { minLength: 1, maxLength: 5 }),
      (path, steps) => {
        const disguised = steps.reduce<string>((text, [which, at]) => DISGUISES[which]?.(text, at) ?? text, path)
        const target = targetOf(disguised)
        if (target !== undefined) tried++
        return target === undefined || !policy.decide({ target, address: () => '192.0.2.7' }, PERSON).allow
      },
    ),
    { numRuns: 5_000 },
  )
  t.ok(tried > 3_000, `${tried} were no malformed targets`)
})

// proves: adv-strictest
t.test('whatever a program makes of a path: what it finds protected is not let through', async (t) => {
  const policy = compile([
    rule({ staff: true }, { paths: ['/admin', '/admin/**'] }),
    rule('anyone', { paths: ['/**'] }),
  ])
  const programs: readonly ((path: string) => string)[] = [
    (path) => new URL(`http://h${path}`).pathname,
    (path) => posix.normalize(decodeURIComponent(path)),
    (path) => posix.normalize(decodeURIComponent(new URL(`http://h${path}`).pathname)),
    (path) => posix.normalize(decodeURIComponent(decodeURIComponent(path))),
    (path) => posix.normalize(path.split('/').map((segment) => segment.split(';')[0]).join('/')),
    (path) => posix.normalize(decodeURIComponent(path.split('/').map((segment) => segment.split(';')[0]).join('/'))),
    (path) => decodeURIComponent(path).replaceAll('\\', '/').replace(/\/+/g, '/'),
    (path) => path.split(';')[0] ?? '',
  ]
  const piece = fc.constantFrom(
    '/',
    '//',
    '\\',
    '%2f',
    '%5C',
    'admin',
    '%61dmin',
    'adm%69n',
    '..',
    '.',
    '%2e',
    '%2E%2e',
    ';',
    ';a=b',
    '%3b',
    '%252e',
    '%252f',
    'static',
    'x',
    '%2561',
  )
  let seen = 0
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), (pieces) => {
      const path = `/${pieces.join('')}`
      const target = targetOf(path)
      if (!target) return true
      const isProtected = programs.some((program) => {
        try {
          return /^\/admin(\/|$)/.test(program(path))
        } catch {
          return false
        }
      })
      if (isProtected) seen++
      return !isProtected || !policy.decide({ target, address: () => undefined }, PERSON).allow
    }),
    { numRuns: 20_000 },
  )
  t.ok(seen > 500, `${seen} were protected in somebody's eyes`)
})
