// The policy as it is written: a part of the file that stands on its own, with its comments and without any value that
// came from the environment.
/* eslint-disable no-template-curly-in-string -- what the operator writes */
import fc from 'fast-check'
import t from 'tap'
import { parse, parseDocument, stringify } from 'yaml'
import { policyTextOf } from '../../src/config/policy-text.js'

const of = (text: string) => policyTextOf(text, parseDocument(text))

const FILE = `# The configuration of Example Ltd.

server: { publicUrl: https://auth.corp.test }
# Who gets what.
# One row for each Entra group.
groupMapping:
  # the network team
  - entraGroup: 1a36bed9-3bdc-4970-ab66-faf9704e0af4 # since March
    groups: [Engineers]

session:
  secrets: [kJ8-first-Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv9]
access:
  default: deny
  rules:
    - { hosts: ["\${HOST}"], allow: authenticated }
`

t.test('the lines of the policy, with the comments directly above each key and inside', (t) => {
  t.equal(
    of(FILE).text,
    `# Who gets what.
# One row for each Entra group.
groupMapping:
  # the network team
  - entraGroup: 1a36bed9-3bdc-4970-ab66-faf9704e0af4 # since March
    groups: [Engineers]

access:
  default: deny
  rules:
    - { hosts: ["\${HOST}"], allow: authenticated }
`,
  )
  t.end()
})

t.test('the hash is that of the meaning: neither comments nor the order of keys nor quotes count', (t) => {
  const other = `access: { rules: [{ allow: "authenticated", hosts: ["\${HOST}"] }], default: deny }
groupMapping: [{ groups: [Engineers], entraGroup: 1a36bed9-3bdc-4970-ab66-faf9704e0af4 }]
log: { level: debug }
`
  t.equal(of(other).hash, of(FILE).hash)
  t.not(of(FILE.replace('deny', 'authenticated')).hash, of(FILE).hash)
  t.not(of(FILE.replace('"${HOST}"', 'wiki.corp.test')).hash, of(FILE).hash)
  t.match(of(FILE).hash, /^[0-9a-f]{64}$/)
  t.end()
})

t.test('the order of the entries of a list counts: the first rule that matches decides', (t) => {
  const rules = (hosts: readonly string[]) =>
    of(stringify({ access: { rules: hosts.map((host) => ({ hosts: [host], allow: 'anyone' })) } })).hash
  t.not(rules(['a.test', 'b.test']), rules(['b.test', 'a.test']))
  t.end()
})

const POLICY = { groupMapping: [{ groups: ['A'], staff: true }], requireMappedGroup: true }

t.test('where the lines do not stand on their own, the policy is written anew', (t) => {
  const forms = {
    'in one line': '{ log: { level: info }, groupMapping: [{ groups: [A], staff: true }], requireMappedGroup: true }',
    'an anchor of another section': `log: &row { groups: [A], staff: true }
groupMapping: [*row]
requireMappedGroup: true
`,
    'indented': '  groupMapping: [{ groups: [A], staff: true }]\n  requireMappedGroup: true\n',
    'quoted keys': '"groupMapping": [{ groups: [A], staff: true }]\n"requireMappedGroup": true\n',
    'JSON': JSON.stringify({ log: {}, ...POLICY }, undefined, 2),
  }
  for (const [name, text] of Object.entries(forms)) {
    t.strictSame(parse(of(text).text), POLICY, name)
    t.equal(of(text).hash, of(stringify(POLICY)).hash, name)
  }
  t.end()
})

// proves: policy-no-defaults
t.test('the default of a variable is not in it', (t) => {
  const { text, canonical } = of('defaultGroups: ["${GROUP:-a-secret}", "$${GROUP:-text}"] # one or the other\n')
  t.equal(text, 'defaultGroups: ["${GROUP}", "$${GROUP:-text}"] # one or the other\n')
  t.notMatch(canonical, 'a-secret')
  t.end()
})

t.test('a file without a policy has an empty one', (t) => {
  t.equal(of('log: { level: info }\n').text, '')
  t.equal(of('log: { level: info }\n').canonical, '{}')
  t.end()
})

t.test('whatever the file: the text has the policy, all of it, and nothing else', (t) => {
  const text = fc.string({ maxLength: 12 })
  const row = fc.record({ label: text, groups: fc.array(text, { maxLength: 3 }), staff: fc.boolean() })
  const file = fc.record({
    server: fc.record({ contact: text }),
    groupMapping: fc.array(row, { maxLength: 4 }),
    username: text,
    session: fc.record({ secrets: fc.array(text, { maxLength: 2 }) }),
    branding: fc.record({ name: text }),
  }, { requiredKeys: [] })
  fc.assert(fc.property(file, fc.boolean(), (values, flow) => {
    const { server: _server, session: _session, ...policy } = values
    const written = flow ? stringify(values, { defaultStringType: 'QUOTE_DOUBLE' }) : stringify(values)
    const { text, hash } = of(written)
    t.strictSame(parse(text) ?? {}, JSON.parse(JSON.stringify(policy)))
    t.equal(hash, of(text).hash)
  }))
  t.end()
})
