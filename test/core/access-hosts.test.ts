// The hosts of access rules: how a host of the configuration is parsed, which rules a host name has, and which methods
// are registered.
import t from 'tap'
import { compileHost, hostIndex, isKnownMethod } from '../../src/core/access-hosts.js'

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

t.test('a method is known if it is registered for HTTP, in upper case', async (t) => {
  const known = ['ACL', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY', 'REBIND', 'SEARCH', 'VERSION-CONTROL']
  for (const method of known) t.equal(isKnownMethod(method), true, method)
  for (const method of ['', ' ', '\n', 'get', 'GETT', 'PUT ', 'HEAD LABEL']) {
    t.equal(isKnownMethod(method), false, JSON.stringify(method))
  }
})
