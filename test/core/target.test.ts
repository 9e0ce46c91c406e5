// The target of a forward-auth request: which schemes, hosts, ports, methods and paths are accepted, what is
// logged of a malformed one, and the map of parsed origins.
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { GatehouseError } from '../../src/core/errors.js'
import {
  parseTarget,
  parseTargetUrl,
  targetUrl,
  type KnownHosts,
  type Target,
  type TargetParts,
} from '../../src/core/target.js'

const PARTS: TargetParts = { scheme: 'https', host: 'app.test', uri: '/', method: 'GET' }
const TARGET: Target = {
  scheme: 'https',
  host: 'app.test',
  hostname: 'app.test',
  namedPort: undefined,
  port: undefined,
  path: '/',
  uri: '/',
  method: 'GET',
}

/** For titles: printable ASCII, so that no character of a case is taken for TAP. */
function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 120).replace(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function targetOf(parts: Partial<TargetParts>, hosts?: KnownHosts): Target | string {
  return outcome(() => parseTarget({ ...PARTS, ...parts }, hosts))
}

/** The target, or the code of the error. */
function outcome(parse: () => Target): Target | string {
  try {
    return parse()
  } catch (error) {
    if (error instanceof GatehouseError) return error.code
    throw error
  }
}

function refusalOf(parse: () => Target): GatehouseError {
  try {
    return new GatehouseError('internal', { detail: `parsed as ${JSON.stringify(parse())}` })
  } catch (error) {
    if (error instanceof GatehouseError) return error
    throw error
  }
}

function malformed(t: Test, cases: readonly Partial<TargetParts>[]): void {
  for (const parts of cases) t.equal(targetOf(parts), 'target_malformed', shown(parts))
}

t.test('the schemes of HTTP and of WebSocket are accepted in any case, and no others', async (t) => {
  const schemes = { http: 'http', HTTP: 'http', ws: 'http', Ws: 'http', https: 'https', Https: 'https', wss: 'https' }
  for (const [scheme, expected] of Object.entries(schemes)) {
    t.strictSame(targetOf({ scheme }), { ...TARGET, scheme: expected }, scheme)
    t.strictSame(outcome(() => parseTargetUrl(`${scheme}://app.test/`, 'GET')), { ...TARGET, scheme: expected }, scheme)
  }
  const others = [
    '',
    'ftp',
    'file',
    'httpx',
    'xhttp',
    'httpss',
    'wsss',
    'x:http',
    'http:https',
    ':https',
    'https:',
    'https ',
    ' https',
    'https,https',
    'https, http',
    'https://',
    'https://a',
    'https://app.test:443',
    'https\n',
    'http\u017f',
    'undefined',
    'null',
    'constructor',
  ]
  malformed(t, others.map((scheme) => ({ scheme })))
})

t.test('a host is a name or an address, with its port in the host unless that is the default', async (t) => {
  const table: readonly { host: string, scheme?: string, expected: Partial<Target> }[] = [
    { host: 'app.test', expected: {} },
    { host: 'APP.Test', expected: {} },
    { host: 'app.test.', expected: {} },
    { host: 'APP.TEST.', expected: {} },
    { host: 'app.test:443', expected: { namedPort: '443' } },
    { host: 'app.test.:443', expected: { namedPort: '443' } },
    { host: 'app.test:00443', expected: { namedPort: '443' } },
    { host: 'app.test:80', expected: { namedPort: '80', host: 'app.test:80' } },
    { host: 'app.test:80', scheme: 'http', expected: { namedPort: '80', scheme: 'http' } },
    { host: 'app.test:443', scheme: 'http', expected: { namedPort: '443', scheme: 'http', host: 'app.test:443' } },
    { host: 'app.test.:8443', expected: { namedPort: '8443', host: 'app.test:8443' } },
    { host: 'app.test:08443', expected: { namedPort: '8443', host: 'app.test:8443' } },
    { host: 'app.test:0', expected: { namedPort: '0', host: 'app.test:0' } },
    { host: 'app.test:1', expected: { namedPort: '1', host: 'app.test:1' } },
    { host: 'app.test:65535', expected: { namedPort: '65535', host: 'app.test:65535' } },
    { host: 'a', expected: { host: 'a', hostname: 'a' } },
    { host: 'a_b-c.test', expected: { host: 'a_b-c.test', hostname: 'a_b-c.test' } },
    { host: '*.test', expected: { host: '*.test', hostname: '*.test' } },
    { host: 'xn--bcher-kva.test', expected: { host: 'xn--bcher-kva.test', hostname: 'xn--bcher-kva.test' } },
    { host: '192.0.2.1', expected: { host: '192.0.2.1', hostname: '192.0.2.1' } },
    { host: '192.0.2.1:81', expected: { host: '192.0.2.1:81', hostname: '192.0.2.1', namedPort: '81' } },
    { host: '[::1]', expected: { host: '[::1]', hostname: '[::1]' } },
    { host: '[2001:DB8::1]:81', expected: { host: '[2001:db8::1]:81', hostname: '[2001:db8::1]', namedPort: '81' } },
  ]
  for (const { host, scheme = 'https', expected } of table) {
    const target = { ...TARGET, ...expected }
    t.strictSame(targetOf({ host, scheme }), target, `${scheme}://${host}`)
    t.strictSame(outcome(() => parseTargetUrl(`${scheme}://${host}/`, 'GET')), target, `${scheme}://${host} as a URL`)
  }
})

t.test('a host that two programs could interpret differently is malformed', async (t) => {
  const hosts = [
    '',
    ' ',
    '.',
    '..',
    ':',
    ':443',
    '.app.test',
    '..app.test',
    'app.test..',
    'app..test',
    '.app.test.',
    'app.test:',
    'app.test:65536',
    'app.test:99999',
    'app.test:100000',
    'app.test:x',
    'app.test:44x',
    'app.test:-1',
    'app.test:+1',
    'app.test:1:2',
    'app.test: 443',
    'app.test :443',
    'user@app.test',
    'user:password@app.test',
    '@app.test',
    'app.test@',
    'app.test@evil.test',
    'app.test,evil.test',
    'app.test, evil.test',
    'app.test,',
    'app.test/a',
    'app.test/',
    'app.test\\a',
    'app.test?a',
    'app.test#a',
    'app.test a',
    'app.test\t',
    'app.test\n',
    'app.test\u0000',
    'app.test\u007f',
    'app.test\u0080',
    '\u00e4pp.test',
    '\u00c3\u00a4pp.test',
    'app\u3002test',
    '\uff41pp.test',
    'hoo\u212a.test',
    'app\u00ad.test',
    '%61pp.test',
    'app%2etest',
    'app.test%00',
    'app.test%2f',
    'a<b.test',
    'a|b.test',
    'a^b.test',
    'xn--a.test',
    '127.1',
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    '0177.0.0.1',
    '192.0.2.256',
    '[::1',
    '::1',
    '::1]',
    '[::1]x',
    '[::1].',
    'x[::1]',
    '[::g]',
    '[]',
    '[0:0:0:0:0:0:0:1]',
    '[::0001]',
    '[::1%25eth0]',
    '[app.test]',
  ]
  malformed(t, hosts.map((host) => ({ host })))
  malformed(t, hosts.map((host) => ({ host, scheme: 'http' })))
})

t.test('the port of the proxy is a port number, and a port in Host is the same', async (t) => {
  for (const port of ['1', '80', '443', '8443', '65535']) {
    t.strictSame(targetOf({ port }), { ...TARGET, port }, `${port} without a port in Host`)
  }
  const invalid = [
    '',
    '0',
    '00',
    '01',
    '0443',
    '65536',
    '99999',
    '100000',
    '-1',
    '+1',
    '1.0',
    '1e3',
    'x',
    '44x',
    'x443',
  ]
  malformed(t, [...invalid, ' 443', '443 ', '443\n', '443,443', '443, 443', '\u0661'].map((port) => ({ port })))
  const same = [
    { host: 'app.test:443', port: '443', expected: { namedPort: '443', port: '443' } },
    { host: 'app.test:0443', port: '443', expected: { namedPort: '443', port: '443' } },
    { host: 'app.test:8443', port: '8443', expected: { namedPort: '8443', port: '8443', host: 'app.test:8443' } },
    { host: 'app.test:65535', port: '65535', expected: { namedPort: '65535', port: '65535', host: 'app.test:65535' } },
  ]
  for (const { host, port, expected } of same) {
    t.strictSame(targetOf({ host, port }), { ...TARGET, ...expected }, `${host} with port ${port}`)
  }
  malformed(t, [
    { host: 'app.test:443', port: '8443' },
    { host: 'app.test:8443', port: '443' },
    { host: 'app.test:844', port: '8443' },
    { host: 'app.test:80', port: '443' },
    { host: 'app.test:0', port: '443' },
    { host: 'app.test:443', port: '' },
    { host: 'app.test:443', scheme: 'http', port: '80' },
  ])
  t.strictSame(outcome(() => parseTargetUrl('https://app.test/', 'GET', '8443')), { ...TARGET, port: '8443' })
  t.equal(outcome(() => parseTargetUrl('https://app.test:1/', 'GET', '8443')), 'target_malformed')
})

t.test('a method is a token in upper case; without a method it is empty', async (t) => {
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'X', "A!#$%&'*+.^_`|~0-9Z"]
  for (const method of methods) t.strictSame(targetOf({ method }), { ...TARGET, method }, method)
  const inLowerCase = { get: 'GET', Get: 'GET', hEAD: 'HEAD', propfind: 'PROPFIND', a1: 'A1' }
  for (const [method, expected] of Object.entries(inLowerCase)) {
    t.strictSame(targetOf({ method }), { ...TARGET, method: expected }, method)
  }
  t.strictSame(targetOf({ method: undefined }), { ...TARGET, method: '' }, 'no method')
  t.strictSame(outcome(() => parseTargetUrl('https://app.test/', undefined)), { ...TARGET, method: '' }, 'of a URL')
  const invalid = ['', ' ', 'GET ', ' GET', 'G T', 'GET,POST', 'GET\n', 'GET\u0000', 'G\u00c4T', 'GET\u212a', 'G\tT']
  malformed(t, [...invalid, ...'"(),/:;<=>?@[\\]{}'].map((method) => ({ method })))
})

t.test('a URL is split at the first slash, question mark or number sign after its host', async (t) => {
  const table: Readonly<Record<string, Partial<Target>>> = {
    'https://app.test': {},
    'https://app.test/': {},
    'https://app.test/a': { path: '/a', uri: '/a' },
    'https://app.test//a': { path: '//a', uri: '//a' },
    'https://app.test/a://b': { path: '/a://b', uri: '/a://b' },
    'https://app.test/a?b/c?d': { path: '/a', uri: '/a?b/c?d' },
    'https://app.test?': { uri: '/?' },
    'https://app.test?a/b': { uri: '/?a/b' },
    'https://app.test:81?a://b': { uri: '/?a://b', host: 'app.test:81', namedPort: '81' },
  }
  for (const [url, expected] of Object.entries(table)) {
    t.strictSame(outcome(() => parseTargetUrl(url, 'GET')), { ...TARGET, ...expected }, url)
  }
  const others = [
    '',
    '/',
    '/a',
    'a',
    'app.test',
    'app.test/a',
    'https:',
    'https:/',
    'https:/app.test/',
    'https:app.test',
    '://app.test/',
    'https://',
    'https:///',
    'https:///app.test',
    'https://?a',
    'https://#a',
    'x:https://app.test/',
    '/https://app.test/',
    'https://app.test#a',
    'https://app.test/#a',
    'https://app.test/a#b',
    'https://app.test/a?b#c',
    'https://user@app.test/',
    'https://app.test/, https://app.test/',
  ]
  for (const url of others) t.equal(outcome(() => parseTargetUrl(url, 'GET')), 'target_malformed', shown(url))
})

t.test('a path is kept as received, without its query', async (t) => {
  const paths = [
    '/',
    '//',
    '/a/b',
    '/a/../b',
    '/a;b=c',
    '/\\',
    '/!$&\'()*+,-.:;<=>@[]^_`{|}~"',
    '/%20',
    '/%2f%2F',
    '/%7e',
    '/%7E',
    '/\u00e2\u0082\u00ac', // the bytes of the euro sign
    '/\u00e2\u0080\u0099\u00e2\u009c\u0093', // of an apostrophe and a check mark
    '/%80',
    '/%9f',
    '/%a0',
    '/%ff',
    '/%25',
    '/%2500',
    '/%25c2%2580',
    '/%c2',
    '/%C2',
    '/%c2%a0',
    '/%C2%A0',
    '/%c2%bf',
    '/%c2%20',
    '/%c2%70',
    '/%c2/%80',
    '/%c2a%80',
    '/%c3%80',
    '/%c3%9f',
    '/%c1%80',
    '/%d2%80',
    '/%e2%82%ac',
    '/%c2\u00a0',
    '/\u00c2%a0',
    '/\u00c2\u00a0',
    '/\u00c3\u0080',
    '/\u00c3\u009f',
    '/\u00f0\u009f\u0098\u0080',
    '/\u00a0',
    '/\u00e9',
    '/\u00ff',
    '/\u00c2',
  ]
  for (const path of paths) {
    for (const query of ['', '?', '?a', '?a?b', '?%', '?%zz', '?%00', '?%c2%80', '?\u00c3\u00a9', '?/\\;~!"']) {
      const uri = path + query
      t.strictSame(targetOf({ uri }), { ...TARGET, path, uri }, shown(uri))
    }
  }
  for (const query of ['?\u00e9', '?\u00e2\u0082\u00ac']) {
    t.strictSame(targetOf({ uri: `/${query}` }), { ...TARGET, uri: `/${query}` }, shown(query))
  }
})

t.test('a path with control characters, a fragment or an invalid encoding is malformed', async (t) => {
  const codes = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)
  const hex = (code: number) => code.toString(16).padStart(2, '0')
  for (const code of [...codes(0, 0x20), 0x7f, ...codes(0x80, 0x9f)]) {
    const char = String.fromCharCode(code)
    malformed(t, [`/${char}`, `/a${char}b`, `/?${char}`, `/\u00c2${char}`].map((uri) => ({ uri })))
  }
  for (const code of [...codes(0, 0x1f), 0x7f]) {
    malformed(t, [`/%${hex(code)}`, `/%${hex(code).toUpperCase()}`, `/a%${hex(code)}?b`].map((uri) => ({ uri })))
  }
  for (const code of codes(0x80, 0x9f)) {
    const raw = String.fromCharCode(code)
    malformed(
      t,
      [
        `/%c2%${hex(code)}`,
        `/%C2%${hex(code).toUpperCase()}`,
        `/a%c2%${hex(code)}b?c`,
        `/\u00c2%${hex(code)}`,
        `/%c2${raw}`,
        `/\u00c2${raw}`,
        `/?\u00c2${raw}`,
      ].map((uri) => ({ uri })),
    )
  }
  const others = [
    '',
    'a',
    '?',
    '?/',
    '#',
    '*',
    ' /',
    'http://app.test/',
    'x/a',
    '\\',
    '%2f',
    '/#',
    '/a#b',
    '/?#',
    '/a?b#c',
    '/%',
    '/%a',
    '/%z',
    '/%zz',
    '/%0z',
    '/%az',
    '/%za',
    '/%%',
    '/%%20',
    '/%2',
    '/a%',
    '/%c2%',
    '/%c2%z0',
    '/%u0041',
    '/%?a',
    '/%a?0',
    '/\u0100',
    '/\u20ac',
    '/\u{1f600}',
    '/?\u20ac',
    '/\u00e9\u0085',
    '/\u0085\u00e9',
    '/?\u00e9\u0085',
    '/\u00c3\u0080\u0080',
    '/\u00e2\u0082',
  ]
  malformed(t, others.map((uri) => ({ uri })))
})

t.test('the URL to return to has the normalised host and the bytes of the path, percent-encoded', async (t) => {
  const table = [
    { parts: { uri: '/a?b=c%' }, url: 'https://app.test/a?b=c%' },
    { parts: { host: 'APP.test.:443', scheme: 'wss' }, url: 'https://app.test/' },
    { parts: { host: 'app.test:8080', scheme: 'ws', uri: '/%2f' }, url: 'http://app.test:8080/%2f' },
    { parts: { uri: '/\u00c3\u00a9?\u00c3\u00a9' }, url: 'https://app.test/%C3%A9?%C3%A9' },
    { parts: { uri: '/\u00a0\u00ff%c2' }, url: 'https://app.test/%A0%FF%c2' },
    { parts: { uri: '/\u00c3\u0080' }, url: 'https://app.test/%C3%80' },
  ]
  for (const { parts, url } of table) t.equal(targetUrl(parseTarget({ ...PARTS, ...parts })), url, shown(parts))
})

t.test('the facts of a malformed target are its host and its path, both shortened, without the query', async (t) => {
  const factsOf = (parts: Partial<TargetParts>) => refusalOf(() => parseTarget({ ...PARTS, ...parts })).facts
  const table: readonly { parts: Partial<TargetParts>, host: string, path: string }[] = [
    { parts: { uri: '/a#b' }, host: 'app.test', path: '/a' },
    { parts: { uri: '/a?secret#b' }, host: 'app.test', path: '/a' },
    { parts: { uri: '?secret' }, host: 'app.test', path: '' },
    { parts: { host: 'App.Test:81', uri: '/%' }, host: 'App.Test:81', path: '/%' },
    { parts: { host: 'a@b', uri: '/a' }, host: 'a@b', path: '/a' },
    { parts: { host: 'a, b://c' }, host: 'a, b://c', path: '/' },
    { parts: { scheme: 'ftp', uri: '/a' }, host: 'app.test', path: '/a' },
    { parts: { scheme: 'a://b' }, host: 'b://app.test', path: '/' },
    { parts: { method: '' }, host: 'app.test', path: '/' },
    { parts: { port: '0' }, host: 'app.test', path: '/' },
    { parts: { host: `${'x'.repeat(100)}@` }, host: 'x'.repeat(100), path: '/' },
    { parts: { host: `${'x'.repeat(99)}@@@` }, host: `${'x'.repeat(99)}@`, path: '/' },
    { parts: { uri: '/\u0000\u0001\n\u001b \u007f\u0085~' }, host: 'app.test', path: '/%00%01%0A%1B %7F%85~' },
    { parts: { uri: '/\u00e9%' }, host: 'app.test', path: '/%E9%' },
    { parts: { uri: '/\n'.padEnd(200, 'x') }, host: 'app.test', path: '/%0A'.padEnd(202, 'x') },
    { parts: { uri: '/\n'.padEnd(201, 'x') }, host: 'app.test', path: '/%0A'.padEnd(202, 'x') },
    { parts: { uri: '/'.padEnd(200, '\n') }, host: 'app.test', path: `/${'%0A'.repeat(199)}` },
  ]
  for (const { parts, host, path } of table) t.strictSame(factsOf(parts), { host, path }, shown(parts))
  const ofUrl = (url: string) => refusalOf(() => parseTargetUrl(url, 'GET')).facts
  const urls: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'https://app.test/a#b': { host: 'app.test', path: '/a' },
    'https://app.test#a': { host: 'app.test', path: '/' },
    'https://a@b?secret': { host: 'a@b', path: '/' },
    'https://a@b/c?secret': { host: 'a@b', path: '/c' },
    '/a?secret': { url: '/a' },
    'app.test/a#secret': { url: 'app.test/a' },
    'a\n\u00e9': { url: 'a%0A%E9' },
    '': { url: '' },
    ['x'.repeat(201)]: { url: 'x'.repeat(200) },
  }
  for (const [url, facts] of Object.entries(urls)) t.strictSame(ofUrl(url), facts, shown(url))
})

t.test('every malformed target has a detail for the log, one for each cause', async (t) => {
  const causes: readonly Partial<TargetParts>[] = [
    { scheme: 'ftp' },
    { host: '\u00e4pp.test' },
    { host: 'a@b' },
    { host: 'app.test:65536' },
    { host: '127.1' },
    { port: '0' },
    { host: 'app.test:81', port: '443' },
    { method: 'G T' },
    { uri: 'a' },
    { uri: '/ ' },
    { uri: '/#' },
    { uri: '/%' },
    { uri: '/%00' },
  ]
  const details = new Set<string>()
  const add = (parse: () => Target, title: string) => {
    const { code, message, sentence } = refusalOf(parse)
    t.equal(code, 'target_malformed', title)
    t.match(message, /\S/, `${title}: a detail`)
    t.not(message, sentence, `${title}: a detail of its own`)
    details.add(message)
  }
  for (const parts of causes) add(() => parseTarget({ ...PARTS, ...parts }), shown(parts))
  add(() => parseTargetUrl('app.test/', 'GET'), 'not absolute')
  t.equal(details.size, causes.length + 1)
  t.equal(
    refusalOf(() => parseTarget({ ...PARTS, uri: '/\u00e9\u0085' })).message,
    refusalOf(() => parseTarget({ ...PARTS, uri: '/ ' })).message,
    'a control character in text that is not UTF-8 has the detail of the others',
  )
})

t.test('parsed origins are kept in the map of known hosts, with the same results', async (t) => {
  const hosts: KnownHosts = new Map()
  const cases: readonly Partial<TargetParts>[] = [
    {},
    { host: 'App.Test' },
    { host: 'app.test.:81', port: '81' },
    { scheme: 'ws' },
    { scheme: 'ftp' },
    { host: 'a@b' },
    { host: '' },
  ]
  for (const parts of cases) {
    const expected = targetOf(parts)
    for (const time of ['first', 'second', 'third']) {
      t.strictSame(targetOf(parts, hosts), expected, `${shown(parts)} ${time}`)
    }
  }
  t.strictSame([...hosts.keys()].sort(), [
    'ftp://app.test',
    'https://',
    'https://App.Test',
    'https://a@b',
    'https://app.test',
    'https://app.test.:81',
    'ws://app.test',
  ])
  const origin = { scheme: 'http', host: 'kept.test:1', hostname: 'kept.test', namedPort: '1' } as const
  const kept: KnownHosts = new Map([['https://app.test', origin]])
  t.strictSame(targetOf({}, kept), { ...TARGET, ...origin }, 'a known origin is not parsed again')
  t.strictSame(outcome(() => parseTargetUrl('https://app.test/', 'GET', undefined, kept)), { ...TARGET, ...origin })
  t.strictSame(targetOf({ host: 'other.test' }, kept), { ...TARGET, host: 'other.test', hostname: 'other.test' })
  t.equal(targetOf({ method: '' }, hosts), 'target_malformed', 'the other parts are checked for a known origin too')
  t.equal(targetOf({ port: '82', host: 'app.test.:81' }, hosts), 'target_malformed')
})

t.test('an origin of 256 characters or more is not kept, and is parsed right each time', async (t) => {
  for (const length of [255, 256, 300]) {
    const host = 'a.'.repeat(200).slice(0, length - 'https://'.length - 1).replace(/\.$/, 'b') + 'c'
    const hosts: KnownHosts = new Map()
    for (const time of ['first', 'second']) {
      t.strictSame(targetOf({ host }, hosts), { ...TARGET, host, hostname: host }, `${length} characters, ${time}`)
    }
    t.equal(hosts.size, length < 256 ? 1 : 0, `${length} characters`)
  }
})

t.test('at most 1,000 origins are kept: the next one empties the map', async (t) => {
  const hosts: KnownHosts = new Map()
  const sizes = new Map<number, number>()
  for (let count = 1; count <= 2_001; count++) {
    const host = `h${count}.test`
    const target = targetOf({ host }, hosts)
    if (typeof target === 'string' || target.host !== host) t.fail(host)
    sizes.set(count, hosts.size)
  }
  const at = (count: number) => sizes.get(count)
  t.strictSame(
    { first: at(1), second: at(2), full: at(1_000), emptied: at(1_001), fullAgain: at(2_000), emptiedAgain: at(2_001) },
    { first: 1, second: 2, full: 1_000, emptied: 1, fullAgain: 1_000, emptiedAgain: 1 },
  )
  t.strictSame(targetOf({ host: 'h1.test' }, hosts), { ...TARGET, host: 'h1.test', hostname: 'h1.test' })
})

t.test('an accepted path has no control character once it is decoded as UTF-8', async () => {
  const piece = fc.constantFrom(
    '/',
    'a',
    '%',
    '%c2',
    '%C3',
    '%80',
    '%9f',
    '%a0',
    '%7f',
    '%1F',
    '%20',
    '\u00c2',
    '\u00c3',
  )
  const raw = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code))
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, raw), { maxLength: 6 }), (pieces) => {
      const target = targetOf({ uri: `/${pieces.join('')}` })
      if (typeof target === 'string') return target === 'target_malformed'
      const bytes = target.path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
      const decoded = Buffer.from(bytes, 'latin1').toString('utf8')
      return !/\p{Cc}/u.test(decoded)
    }),
    { numRuns: 5_000 },
  )
})
