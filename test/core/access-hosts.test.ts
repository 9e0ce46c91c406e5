// The hosts of access rules: how a host of the configuration is parsed, which rules a host name has, and which methods
// are registered.
import t from 'tap'
import { compileHost, hostIndex, isKnownMethod } from '../../src/core/access-hosts.js'
import { compilePath } from '../../src/core/path-pattern.js'

t.test('a host has a name, an optional wildcard and an optional port', async (t) => {
  const host = (name: string, port?: string) => ({ name, below: false, port })
  const table = {
    'app.test': host('app.test'),
    'APP.test:8443': host('app.test', '8443'),
    '[::1]': host('[::1]'),
    '[::1]:8443': host('[::1]', '8443'),
    '*.app.test': { name: 'app.test', below: true, port: undefined },
    '*.App.test:8443': { name: 'app.test', below: true, port: '8443' },
    '*app.test': host('*app.test'),
  }
  for (const [text, expected] of Object.entries(table)) t.strictSame(compileHost(text), expected, text)
})

t.test('a text that is not a host compiles to no name, so that it matches no host', async (t) => {
  const texts = [
    'app.test:',
    'app.test:8443x',
    'app.test:8443 ',
    'app.test:8443/',
    'app.test:x',
    'app.test:84:43',
    'x[::1]:8443',
    '[::1]x',
    '[::1]:8443x',
    '::1',
    'http://app.test',
  ]
  for (const text of texts) t.strictSame(compileHost(text), { name: '', below: false, port: undefined }, text)
})

t.test('a wildcard matches whole labels below its name, and neither the name itself nor a longer label', async (t) => {
  const ruleOf = (hosts: readonly string[]) => ({
    hosts: hosts.map(compileHost),
    methods: undefined,
    paths: undefined,
  })
  const rulesOf = hostIndex([ruleOf(['*.app.test', '*.b.test']), ruleOf(['b.test', '*.x.b.test'])])
  const count = (hostname: string) => rulesOf(hostname)?.otherMethods.all.length
  const table: Readonly<Record<string, number | undefined>> = {
    'a.app.test': 1,
    'a.b.app.test': 1,
    'app.test': undefined,
    'xapp.test': undefined,
    'xxapp.test': undefined,
    'a.xapp.test': undefined,
    'app.test.x': undefined,
    'test': undefined,
    '': undefined,
    'b.test': 1,
    'x.b.test': 1,
    'a.x.b.test': 2,
    'xb.test': undefined,
  }
  for (const [hostname, rules] of Object.entries(table)) t.equal(count(hostname), rules, hostname)
})

t.test('the rules of a host are indexed by method and first segment, in the order of the configuration', async (t) => {
  const rule = (name: string, host: string, paths?: readonly string[], methods?: readonly string[]) => ({
    name,
    hosts: [compileHost(host)],
    methods: methods && new Set(methods),
    paths: paths?.map(compilePath),
  })
  const rulesOf = hostIndex([
    rule('a', 'app.test', ['/a', '/a/b']),
    rule('b', 'app.test:8443', ['/b/**']),
    rule('posts', 'app.test', ['/a/**'], ['POST']),
    rule('star', 'app.test', ['/*/x']),
    rule('all', 'app.test', ['/**']),
    rule('any', 'app.test'),
    rule('pathless', 'b.test'),
  ])
  const namesOf = (rules: readonly { readonly name: string }[]) => rules.map(({ name }) => name).join(' ')
  const listed = (rules: ReturnType<typeof rulesOf>) => {
    const byMethod = [...rules?.byMethod ?? [], ['others', rules?.otherMethods] as const]
    return Object.fromEntries(byMethod.map(([method, index]) => [method, {
      all: namesOf(index?.all ?? []),
      segments: Object.fromEntries([...index?.byFirstSegment ?? []].map(([first, found]) => [first, namesOf(found)])),
      others: namesOf(index?.otherSegments ?? []),
    }]))
  }
  const app = rulesOf('app.test')
  t.strictSame({ ...app, byMethod: undefined, otherMethods: undefined }, {
    byMethod: undefined,
    otherMethods: undefined,
    hasMethods: true,
    hasPaths: true,
    ports: ['', '8443'],
  })
  const wildcards = { '*': 'star all any', '**': 'star all any' }
  t.strictSame(listed(app), {
    POST: {
      all: 'a b posts star all any',
      segments: { a: 'a posts star all any', b: 'b star all any', ...wildcards },
      others: 'star all any',
    },
    others: {
      all: 'a b star all any',
      segments: { a: 'a star all any', b: 'b star all any', ...wildcards },
      others: 'star all any',
    },
  })
  const pathless = rulesOf('b.test')
  t.strictSame(listed(pathless), { others: { all: 'pathless', segments: {}, others: 'pathless' } })
  t.strictSame(
    { hasMethods: pathless?.hasMethods, hasPaths: pathless?.hasPaths, ports: pathless?.ports },
    { hasMethods: false, hasPaths: false, ports: [''] },
  )
})

t.test('a method is known if it is registered for HTTP, in upper case', async (t) => {
  const known = ['ACL', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY', 'REBIND', 'SEARCH', 'VERSION-CONTROL']
  for (const method of known) t.equal(isKnownMethod(method), true, method)
  for (const method of ['', ' ', '\n', 'get', 'GETT', 'PUT ', 'HEAD LABEL']) {
    t.equal(isKnownMethod(method), false, JSON.stringify(method))
  }
})
