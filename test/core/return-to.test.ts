// The address to return to: which values of `rd` are accepted and as which address, which are refused, what is logged
// of a refusal, and how an address becomes a parameter.
import t, { type Test } from 'tap'
import { GatehouseError } from '../../src/core/errors.js'
import { asParameter, canReturnTo, parseReturnTo, readReturnTo, type ReturnToRules } from '../../src/core/return-to.js'

const RULES: ReturnToRules = { publicUrl: 'https://auth.example.com', redirectDomains: ['.apps.test', 'one.test'] }
/** For Gatehouse on loopback: addresses with http are accepted too. */
const HTTP_RULES: ReturnToRules = { publicUrl: 'http://localhost:8080', redirectDomains: ['.apps.test', 'one.test'] }
const LONGEST = 6144

function shown(text: string): string {
  const start = text.length > 80 ? `${text.slice(0, 80)} and more: ${text.length} characters` : text
  return JSON.stringify(start).replace(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** The address, or the code of the refusal. */
function resultOf(input: string | undefined, rules = RULES, base?: string): string {
  try {
    return parseReturnTo(input, rules, base)
  } catch (error) {
    if (error instanceof GatehouseError) return error.code
    throw error
  }
}

function refusalOf(input: string, rules = RULES, base?: string): GatehouseError {
  try {
    return new GatehouseError('internal', { detail: `accepted as ${parseReturnTo(input, rules, base)}` })
  } catch (error) {
    if (error instanceof GatehouseError) return error
    throw error
  }
}

function accepted(t: Test, table: Readonly<Record<string, string>>, rules = RULES): void {
  for (const [input, address] of Object.entries(table)) t.equal(resultOf(input, rules), address, shown(input))
}

function refused(t: Test, inputs: readonly string[], rules = RULES): void {
  for (const input of inputs) t.equal(resultOf(input, rules), 'return_to_refused', shown(input))
}

t.test('without rd the address is the front page of publicUrl, also for another base', async (t) => {
  for (const input of [undefined, '']) {
    t.equal(resultOf(input), 'https://auth.example.com/', String(input))
    t.equal(resultOf(input, RULES, 'https://x.apps.test'), 'https://auth.example.com/', `${input} with a base`)
  }
})

t.test('a path is read against the base, and is refused if a program could take it for a host', async (t) => {
  accepted(t, {
    '/': 'https://auth.example.com/',
    '/a': 'https://auth.example.com/a',
    '/a//b': 'https://auth.example.com/a//b',
    '/a/%2fb': 'https://auth.example.com/a/%2fb',
    '/a/%5cb': 'https://auth.example.com/a/%5cb',
    '/a%2f/b': 'https://auth.example.com/a%2f/b',
    '/%2e%2e/b': 'https://auth.example.com/b',
    '/?a=//b': 'https://auth.example.com/?a=//b',
    '/?a=\\b': 'https://auth.example.com/?a=\\b',
    '/#\\b': 'https://auth.example.com/#\\b',
    '/a@b': 'https://auth.example.com/a@b',
    '/https://a@b/': 'https://auth.example.com/https://a@b/',
  })
  refused(t, [
    '//',
    '//one.test',
    '///one.test',
    '/\\one.test',
    '/\\',
    '\\one.test',
    '/a\\b',
    '/a\\?b',
    '/%2fone.test',
    '/%2Fone.test',
    '/%5cone.test',
    '/%5Cone.test',
    '/%09/one.test',
    '/%0a/one.test',
    '/%0A/one.test',
    '/%0d/one.test',
    '/%0D/one.test',
    '/%20/one.test',
  ])
  const at = (base: string) => resultOf('/a?b', RULES, base)
  t.equal(at('https://x.apps.test'), 'https://x.apps.test/a?b')
  t.equal(at('https://x.apps.test:443'), 'https://x.apps.test/a?b')
  t.equal(at('https://evil.test'), 'return_to_refused')
  t.equal(at('https://evil.test/https://one.test'), 'return_to_refused')
  t.equal(at('http://x.apps.test'), 'return_to_refused')
  t.equal(at('not an origin'), 'return_to_refused')
})

t.test('an address without http or https, or without a host, is refused', async (t) => {
  const others = [
    'a',
    'one.test',
    'one.test/',
    '?a',
    '#a',
    ':',
    'http',
    'http:',
    'http:/',
    'http://',
    'http:///one.test',
    'http:one.test',
    'http:/one.test',
    'https://',
    'https:///',
    'https:///one.test',
    'https://[',
    'https://[::1',
    'https://one.test:x/',
    'https://one.test:65536/',
    'https://%',
    'xhttp://one.test/',
    'xhttps://one.test/',
    'ftp://one.test/',
    'ws://one.test/',
    'wss://one.test/',
    'file://one.test/',
    'httpsx://one.test/',
    'x:https://one.test/',
    'javascript:https://one.test/',
    'data:https://one.test/',
    'blob:https://one.test/',
    'view-source:https://one.test/',
  ]
  refused(t, others, RULES)
  refused(t, others, HTTP_RULES)
  accepted(t, {
    'https://one.test': 'https://one.test/',
    'HTTPS://ONE.TEST': 'https://one.test/',
    'https://one.test:': 'https://one.test/',
    'https://one.test?a': 'https://one.test/?a',
    'https://one.test#a': 'https://one.test/#a',
    'https://one.test/a/../b': 'https://one.test/b',
  })
})

t.test('an address that names a user is refused, whichever part of the user is empty', async (t) => {
  const users = ['u', 'user', 'u:p', 'user:password', 'u:', ':p', ':', '', '@', 'u@', 'one.test', '%40', 'a:b:c', '&=;']
  for (const host of ['one.test', 'evil.test', 'auth.example.com']) {
    refused(t, users.map((user) => `https://${user}@${host}/`))
    refused(t, users.map((user) => `HTTPS://${user}@${host}`))
  }
  refused(t, users.map((user) => `http://${user}@one.test/`), HTTP_RULES)
  refused(t, users.map((user) => `https://${user}@one.test/`), HTTP_RULES)
  for (const user of ['u', 'u:p', ':p']) {
    t.equal(resultOf('/a', RULES, `https://${user}@one.test`), 'return_to_refused', `a base with the user ${user}`)
  }
  accepted(t, {
    'https://one.test/@': 'https://one.test/@',
    'https://one.test/a@b': 'https://one.test/a@b',
    'https://one.test/http://a@b': 'https://one.test/http://a@b',
    'https://one.test/https://@b': 'https://one.test/https://@b',
    'https://one.test?a@b': 'https://one.test/?a@b',
    'https://one.test#a@b': 'https://one.test/#a@b',
    'https://one.test?https://a@b': 'https://one.test/?https://a@b',
  })
})

t.test('control characters and white space are refused anywhere, the characters next to them are not', async (t) => {
  const refusedPoints = [
    ...Array.from({ length: 0x21 }, (_, point) => point),
    ...Array.from({ length: 0x22 }, (_, index) => 0x7f + index),
    0x1680,
    0x2000,
    0x200a,
    0x2028,
    0x2029,
    0x202f,
    0x205f,
    0x3000,
    0xfeff,
  ]
  for (const point of refusedPoints) {
    const char = String.fromCodePoint(point)
    const inputs = [
      `${char}https://one.test/`,
      `https://one.test/${char}`,
      `https://one.test/a${char}b`,
      `https://one.test/?${char}`,
      `https://one.test/#${char}`,
      `https:${char}//one.test/`,
      `/${char}`,
      `/a${char}`,
      char,
    ]
    const unexpected = inputs.filter((input) => resultOf(input) !== 'return_to_refused')
    t.strictSame(unexpected, [], `U+${point.toString(16).toUpperCase().padStart(4, '0')}`)
  }
  accepted(t, {
    'https://one.test/!': 'https://one.test/!',
    'https://one.test/~': 'https://one.test/~',
    'https://one.test/?!~': 'https://one.test/?!~',
    'https://one.test/\u00a1': 'https://one.test/%C2%A1',
    '/\u00a1?\u00a1#\u00a1': 'https://auth.example.com/%C2%A1?%C2%A1#%C2%A1',
    'https://one.test/\u00ff': 'https://one.test/%C3%BF',
    'https://one.test/\u{1f600}': 'https://one.test/%F0%9F%98%80',
  })
})

t.test('a backslash is refused before the query and the fragment, not in them', async (t) => {
  refused(t, [
    'https://one.test\\',
    'https://one.test\\@evil.test',
    'https:\\\\one.test/',
    'https://one.test/\\',
    'https://one.test/a\\b',
    'https://one.test/a\\?b',
    'https://one.test/a\\#b',
  ])
  accepted(t, {
    'https://one.test/?\\': 'https://one.test/?\\',
    'https://one.test/#\\': 'https://one.test/#\\',
    'https://one.test?a\\b': 'https://one.test/?a\\b',
    'https://one.test#a\\b': 'https://one.test/#a\\b',
  })
})

t.test(`an address has at most ${LONGEST} characters, as given and as normalised`, async (t) => {
  const filled = (start: string, length: number, end = '') => start.padEnd(length - end.length, 'x') + end
  for (const start of ['https://one.test/', 'https://one.test/?', 'https://one.test/#']) {
    const longest = filled(start, LONGEST)
    t.equal(resultOf(longest), longest, start)
    refused(t, [`${longest}x`])
  }
  const port = 'https://one.test:443/' // normalised to four characters fewer
  t.equal(resultOf(filled(port, LONGEST)).length, LONGEST - 4)
  refused(t, [filled(port, LONGEST + 1)])
  const letter = '\u00e9' // normalised to %C3%A9: five characters more
  t.equal(resultOf(filled('https://one.test/', LONGEST - 5, letter)).length, LONGEST)
  refused(t, [filled('https://one.test/', LONGEST - 4, letter), filled('https://one.test/', LONGEST, letter)])
  const path = LONGEST - RULES.publicUrl.length
  t.equal(resultOf(filled('/', path)).length, LONGEST, 'a path is measured with its origin')
  refused(t, [filled('/', path + 1)])
})

t.test('the steps of a sign-in on publicUrl lead to the front page; on another origin they are pages', async (t) => {
  const front = 'https://auth.example.com/'
  for (const step of ['/oauth2/start', '/oauth2/callback', '/oauth2/sign_out']) {
    for (const more of ['', '?rd=/a', '#a']) {
      t.equal(resultOf(`${step}${more}`), front, `${step}${more}`)
      t.equal(resultOf(`https://AUTH.example.com:443${step}${more}`), front, `absolute ${step}${more}`)
      const elsewhere = `https://one.test${step}${more}`
      t.equal(resultOf(elsewhere), elsewhere, elsewhere)
      const plain = `http://localhost:8080${step}${more}`
      t.equal(resultOf(plain, HTTP_RULES), 'http://localhost:8080/', plain)
      t.equal(resultOf(`${step}${more}`, RULES, 'https://one.test'), elsewhere, `${step}${more} at a base`)
    }
    t.equal(resultOf(`/a/..${step}`), front, `${step} after the path was normalised`)
    for (const path of [`${step}/`, `${step}x`, `/a${step}`, step.toUpperCase()]) {
      t.equal(resultOf(path), `https://auth.example.com${path}`, path)
    }
  }
  for (const path of ['/oauth2', '/oauth2/userinfo', '/a']) {
    t.equal(resultOf(path), `https://auth.example.com${path}`, path)
  }
})

t.test('an http address is accepted only if publicUrl has http', async (t) => {
  refused(t, ['http://one.test/', 'http://x.apps.test/', 'http://auth.example.com/', 'http://one.test:443/'])
  accepted(t, {
    'http://one.test/': 'http://one.test/',
    'http://one.test:80/': 'http://one.test/',
    'https://one.test/': 'https://one.test/',
    'https://one.test:443/': 'https://one.test/',
    'http://localhost:8080/a': 'http://localhost:8080/a',
  }, HTTP_RULES)
  refused(t, [
    'http://localhost/',
    'http://localhost:8081/',
    'https://localhost:8080/',
    'http://evil.test/',
    'http://one.test:443/',
    'https://one.test:80/',
  ], HTTP_RULES)
})

t.test('publicUrl itself is allowed without an entry, its other ports and its subdomains are not', async (t) => {
  const rules = { publicUrl: 'https://auth.example.com:8443', redirectDomains: [] }
  accepted(t, { 'https://auth.example.com:8443/a': 'https://auth.example.com:8443/a' }, rules)
  refused(t, [
    'https://auth.example.com/',
    'https://auth.example.com:443/',
    'https://auth.example.com:844/',
    'https://x.auth.example.com:8443/',
    'https://xauth.example.com:8443/',
    'https://auth.example.com.:8443/',
    'https://auth.example.com.evil.test:8443/',
  ], rules)
})

t.test('each kind of entry of redirectDomains allows its hosts and ports', async (t) => {
  const table: readonly { entry: string, allowed: readonly string[], others: readonly string[] }[] = [
    {
      entry: 'a.test',
      allowed: ['https://a.test/', 'https://A.TEST/', 'https://a.test:443/', 'https://a.test./'],
      others: [
        'https://a.test:8443/',
        'https://a.test:80/',
        'https://x.a.test/',
        'https://xa.test/',
        'https://a.test../',
        'https://a.testx/',
        'https://a.test.x/',
        'https://test/',
        'https://.a.test/',
      ],
    },
    { entry: 'A.Test', allowed: ['https://a.test/', 'https://A.test/'], others: ['https://b.test/'] },
    {
      entry: '.a.test',
      allowed: [
        'https://x.a.test/',
        'https://X.A.TEST/',
        'https://y.x.a.test/',
        'https://x.a.test:443/',
        'https://x.a.test./',
      ],
      others: [
        'https://a.test/',
        'https://.a.test/',
        'https://.a.test./',
        'https://a.test./',
        'https://xa.test/',
        'https://x.a.test:8443/',
        'https://x.a.testx/',
        'https://x.a.test../',
        'https://x.a.test.evil.test/',
      ],
    },
    {
      entry: 'a.test:8443',
      allowed: ['https://a.test:8443/', 'https://a.test.:8443/'],
      others: ['https://a.test/', 'https://a.test:443/', 'https://a.test:844/', 'https://x.a.test:8443/'],
    },
    {
      entry: 'a.test:443',
      allowed: ['https://a.test/', 'https://a.test:443/'],
      others: ['https://a.test:80/', 'https://a.test:8443/'],
    },
    { entry: 'a.test:80', allowed: ['https://a.test:80/'], others: ['https://a.test/', 'https://a.test:443/'] },
    {
      entry: 'a.test:*',
      allowed: ['https://a.test/', 'https://a.test:1/', 'https://a.test:80/', 'https://a.test:65535/'],
      others: ['https://x.a.test/', 'https://x.a.test:1/', 'https://b.test:1/'],
    },
    {
      entry: '.a.test:*',
      allowed: ['https://x.a.test/', 'https://x.a.test:8443/', 'https://y.x.a.test:1/'],
      others: ['https://a.test/', 'https://a.test:8443/', 'https://.a.test:8443/', 'https://xa.test:8443/'],
    },
    {
      entry: '.a.test:8443',
      allowed: ['https://x.a.test:8443/'],
      others: ['https://x.a.test/', 'https://a.test:8443/', 'https://x.a.test:443/'],
    },
    {
      entry: '[::1]:8443',
      allowed: ['https://[::1]:8443/', 'https://[0:0:0:0:0:0:0:1]:8443/'],
      others: ['https://[::1]/', 'https://[::2]:8443/', 'https://[::1]:8444/'],
    },
    {
      entry: '[::1]',
      allowed: ['https://[::1]/'],
      others: ['https://[::1]:8443/', 'https://[::2]/', 'https://[::1:1]/'],
    },
  ]
  for (const { entry, allowed, others } of table) {
    const rules = { publicUrl: 'https://auth.example.com', redirectDomains: ['other.test', entry] }
    for (const url of allowed) t.equal(resultOf(url, rules), new URL(url).href, `${entry} allows ${url}`)
    for (const url of others) t.equal(resultOf(url, rules), 'return_to_refused', `${entry} does not allow ${url}`)
  }
  const plain = { publicUrl: 'http://localhost:8080', redirectDomains: ['a.test:80', 'b.test:443', '.c.test:80'] }
  accepted(t, {
    'http://a.test/': 'http://a.test/',
    'http://a.test:80/': 'http://a.test/',
    'https://a.test:80/': 'https://a.test:80/',
    'https://b.test/': 'https://b.test/',
    'http://b.test:443/': 'http://b.test:443/',
    'http://x.c.test/': 'http://x.c.test/',
  }, plain)
  refused(t, ['https://a.test/', 'http://b.test/', 'https://x.c.test/', 'http://c.test/'], plain)
})

t.test('the facts of a refusal have the first 200 characters of rd, without query and fragment', async (t) => {
  const factsOf = (input: string) => refusalOf(input).facts
  t.strictSame(factsOf('https://evil.test/a'), { rd: 'https://evil.test/a' })
  t.strictSame(factsOf('https://evil.test/a?secret'), { rd: 'https://evil.test/a' })
  t.strictSame(factsOf('https://evil.test/a#secret'), { rd: 'https://evil.test/a' })
  t.strictSame(factsOf('https://evil.test?secret#more'), { rd: 'https://evil.test' })
  t.strictSame(factsOf('https://evil.test#secret?more'), { rd: 'https://evil.test' })
  t.strictSame(factsOf('?secret'), { rd: '' })
  const long = 'https://evil.test/'.padEnd(200, 'x')
  t.strictSame(factsOf(long), { rd: long })
  t.strictSame(factsOf(`${long}y`), { rd: long })
  t.strictSame(factsOf(`${long}y`.padEnd(7_000, 'y')), { rd: long })
})

t.test('every refusal has a detail and a remedy for the log', async (t) => {
  const inputs = {
    long: 'https://one.test/'.padEnd(LONGEST + 1, 'x'),
    normalised: 'https://one.test/'.padEnd(LONGEST, '\u00e9'),
    space: 'https://one.test/ ',
    kind: 'one.test',
    address: 'https://[',
    user: 'https://u@one.test/',
    host: 'https://evil.test/',
    http: 'http://one.test/',
  }
  const details = new Set<string>()
  for (const [name, input] of Object.entries(inputs)) {
    const { code, message, sentence, remedy } = refusalOf(input)
    t.equal(code, 'return_to_refused', name)
    t.not(message, sentence, `${name}: a detail of its own`)
    t.match(message, /^rd /, `${name}: names the parameter`)
    t.match(remedy, /\S/, `${name}: a remedy`)
    details.add(message)
  }
  t.equal(details.size, 7, 'one detail for each cause; the two lengths have the same')
  t.match(refusalOf('https://evil.test:81/').message, /evil\.test:81/, 'the host is named')
})

t.test('the remedy of an address that is not allowed depends on what the entries lack', async (t) => {
  const rules = (publicUrl: string) => ({ publicUrl, redirectDomains: ['a.test:8443', '.b.test', '[::1]:8443'] })
  const remedy = (input: string, publicUrl = RULES.publicUrl) => refusalOf(input, rules(publicUrl)).remedy
  t.match(remedy('https://a.test/'), /a\.test:443 or a\.test:\*/)
  t.match(remedy('https://a.test:81/'), /a\.test:81 or a\.test:\*/)
  t.match(remedy('https://x.b.test:81/'), /\.b\.test:81 or \.b\.test:\*/)
  t.match(remedy('https://[::1]:81/'), /\[::1\]:81 or \[::1\]:\*/)
  t.match(remedy('https://c.test:81/'), /Add c\.test:81 to server\.redirectDomains/)
  t.match(remedy('http://a.test/'), /https/)
  const local = 'http://localhost:8080'
  t.match(remedy('http://c.test/', local), /Add c\.test to server\.redirectDomains/)
  t.match(remedy('http://a.test/', local), /a\.test:80 or a\.test:\*/)
  t.match(remedy('https://a.test/', local), /a\.test:443 or a\.test:\*/)
  t.match(
    refusalOf('/a', RULES, 'https://c.test').remedy,
    /Host c\.test,.*proxy.*Host/,
    'the Host of a relative address',
  )
})

t.test('readReturnTo returns the address or the refusal, and throws any other error', async (t) => {
  t.strictSame(readReturnTo('https://one.test', RULES), { address: 'https://one.test/' })
  t.strictSame(readReturnTo(undefined, RULES), { address: 'https://auth.example.com/' })
  const result = readReturnTo('https://evil.test', RULES)
  t.strictSame(Object.keys(result), ['refusal'])
  t.match(result.refusal, { code: 'return_to_refused', facts: { rd: 'https://evil.test' } })
  const broken: ReturnToRules = {
    publicUrl: RULES.publicUrl,
    get redirectDomains(): readonly string[] {
      throw new RangeError('broken')
    },
  }
  t.throws(() => readReturnTo('https://one.test', broken), { name: 'RangeError', message: 'broken' })
})

t.test('canReturnTo holds for addresses of an application that parseReturnTo accepts', async (t) => {
  const start = 'https://one.test/'
  const table = {
    [start]: true,
    [start.padEnd(LONGEST, 'x')]: true,
    [start.padEnd(LONGEST + 1, 'x')]: false,
    [`${start}\\`]: false,
    [`${start}a\\b`]: false,
    [`${start}a\\?b`]: false,
    [`${start}a\\?b\\`]: false,
    [`${start}a?b\\`]: true,
    [`${start}a#b\\`]: true,
    [`${start}a?b\\`.padEnd(LONGEST + 1, 'x')]: false,
    [`${start}a\\b`.padEnd(LONGEST + 1, 'x')]: false,
  }
  for (const [url, expected] of Object.entries(table)) {
    t.equal(canReturnTo(url), expected, shown(url))
    t.equal(resultOf(url) === url, expected, `parseReturnTo ${shown(url)}`)
  }
})

t.test('as a parameter an address is percent-encoded as far as 7,900 characters allow', async (t) => {
  t.equal(asParameter('https://one.test/a?b=c&d=e#f'), 'https%3A%2F%2Fone.test%2Fa%3Fb%3Dc%26d%3De%23f')
  t.equal(asParameter('https://one.test/\\'), undefined, 'a backslash in the path')
  t.equal(asParameter('https://one.test/'.padEnd(LONGEST + 1, 'x')), undefined, 'an address that is too long')
  const [plain, whole] = ['https://one.test/', 'https%3A%2F%2Fone.test%2F']
  const xs = (count: number) => 'x'.repeat(count)
  const slashes = { plain: '/'.repeat(1_000), encoded: '%2F'.repeat(1_000) }
  const rest = 7_900 - whole.length - slashes.encoded.length
  t.equal(asParameter(plain + slashes.plain + xs(rest)), whole + slashes.encoded + xs(rest), '7,900 characters')
  const longer = plain + slashes.plain + xs(rest + 1)
  t.equal(asParameter(longer), longer, '7,901 characters: only what a query needs')
  const ands = { plain: '&'.repeat(1_500), encoded: '%26'.repeat(1_500) }
  const last = 7_900 - plain.length - ands.encoded.length
  t.equal(asParameter(plain + ands.plain + xs(last)), plain + ands.encoded + xs(last), '7,900 in the shorter form')
  t.equal(asParameter(plain + ands.plain + xs(last + 1)), undefined, '7,901 in the shorter form')
  const kept = "AZaz09_.~:/?=@!$'()*,;-"
  const others = { '&': '%26', '#': '%23', '%': '%25', '+': '%2B', '"': '%22', '[': '%5B', '\u{1f600}': '%F0%9F%98%80' }
  for (const [char, encoded] of Object.entries(others)) {
    t.equal(asParameter(`${longer}${kept}${char}${kept}`), `${longer}${kept}${encoded}${kept}`, `${char} is encoded`)
  }
})
