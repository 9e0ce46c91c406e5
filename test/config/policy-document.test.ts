// A policy alone: judged as if it stood in the configuration in force, with its files and variables and no others.
/* eslint-disable no-template-curly-in-string -- what the operator writes */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { asWritten } from '../../src/config/as-written.js'
import { loadConfig, type LoadedConfig } from '../../src/config/load.js'
import { loadPolicy } from '../../src/config/policy-document.js'
import { problemsOf } from '../helpers/config-problems.js'

const ID = '8d1f0000-1111-2222-3333-444444444444'
const OTHER = '9e2a0000-1111-2222-3333-444444444444'
const SECRET = 'abc~client-secret.def'
const ENV = { HOST: 'wiki.corp.test', ENTRA_CLIENT_SECRET: SECRET }

const FILE = `server: { publicUrl: https://auth.corp.test, redirectDomains: [.corp.test] }
entra: { tenantId: ${ID}, clientId: ${ID}, clientSecret: "\${ENTRA_CLIENT_SECRET}" }
database: { url: postgres://u:p@h/db }
session: { secrets: [kJ8-first-Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv9], cookieDomain: corp.test }
keys: { encryptionSecrets: [uE3-second-Hm6Tn8Pc1Fy7Gs3Jv9Qe2] }
groupMapping: [{ entraGroup: ${ID}, groups: [Engineers] }]
access: { rules: [{ hosts: ["\${HOST}"], allow: authenticated }] }
branding: { logoFile: logo.png }
`

function inForce(t: Test): LoadedConfig {
  const directory = t.testdir()
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'logo.png'), Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'))
  writeFileSync(join(directory, 'other.png'), Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'))
  writeFileSync(join(directory, 'gatehouse.yaml'), FILE)
  return loadConfig(join(directory, 'gatehouse.yaml'), { env: ENV })
}

const load = (t: Test, text: string) => loadPolicy(text, inForce(t).config, { name: 'draft', env: ENV })

t.test('a policy takes the place of the one in force; everything else stays', async (t) => {
  const { config } = load(t, `groupMapping: [{ entraGroup: ${OTHER}, superuser: true }]\nrequireMappedGroup: true\n`)
  t.match(config, {
    groupMapping: [{ entraGroup: OTHER, superuser: true }],
    requireMappedGroup: true,
    server: { publicUrl: 'https://auth.corp.test' },
    access: { default: 'authenticated', rules: [] },
    branding: { logoFile: undefined },
    images: [],
  })
  t.match(config.policyText.text, OTHER)
})

t.test('what people are shown of it is its own text, and not that of the policy in force', async (t) => {
  const hostOf = (text: string) => asWritten(load(t, text).config).access.rules[0]?.hosts
  t.strictSame(hostOf('access: { rules: [{ hosts: [wiki.corp.test], allow: anyone }] }\n'), ['wiki.corp.test'])
  t.strictSame(hostOf('access: { rules: [{ hosts: ["${HOST}"], allow: anyone }] }\n'), ['${HOST}'])
})

t.test('the text of a version loads again, and is the same policy', async (t) => {
  const { config } = inForce(t)
  const again = loadPolicy(config.policyText.text, config, { name: 'draft', env: ENV })
  t.equal(again.config.policyText.hash, config.policyText.hash)
  t.strictSame(again.config.access, config.access)
  t.strictSame(again.config.images.map(({ path }) => path), config.images.map(({ path }) => path))
})

t.test('an empty text is the policy in which every key has its default value', async (t) => {
  for (const text of ['', '# nothing\n', '{}']) t.strictSame(load(t, text).config.groupMapping, [], text)
})

// proves: policy-variables-in-force
t.test('what a policy alone may not use is refused, with the line', async (t) => {
  const refused: Readonly<Record<string, readonly [code: string, line: number]>> = {
    'groupMapping: []\nserver: { publicUrl: https://evil.test }\n': ['key_not_policy', 2],
    'groupMaping: []\n': ['key_unknown', 1],
    'access: { rules: [{ hosts: ["${ENTRA_CLIENT_SECRET}"], allow: anyone }] }\n': ['env_unset', 1],
    'access: { rules: [{ hosts: ["${PATH}"], allow: anyone }] }\n': ['env_unset', 1],
    'branding: { logoFile: other.png }\n': ['file_not_in_force', 1],
    'pipeline: [./own.js, azuread_map_groups]\n': ['file_not_in_force', 1],
    'access: { default: deny\ngroupMapping: []\n': ['yaml_syntax', 2],
    'groupMapping:\n  - entraGroup: netbox-admins\n': ['guid_display_name', 2],
    '- 1\n': ['type_wrong', 1],
    [`# ${'x'.repeat(1024 * 1024)}`]: ['file_too_large', 1],
  }
  for (const [text, [code, line]] of Object.entries(refused)) {
    const problems = problemsOf(() => load(t, text))
    t.ok(
      problems.some((each) => each.code.startsWith(code) && each.line === line),
      `${text.slice(0, 60)}: ${code} of ${JSON.stringify(problems)}`,
    )
    t.notMatch(JSON.stringify(problems), SECRET)
  }
})

t.test('rules over several keys look at the rest of the configuration, and report of the policy alone', async (t) => {
  const { warnings } = load(t, 'access: { rules: [{ hosts: [wiki.other.test], allow: authenticated }] }\n')
  t.ok(warnings.some(({ path }) => path.startsWith('access')), 'the host is outside of the domain of the cookie')
  t.strictSame(warnings.filter(({ path }) => !/^(access|groupMapping)/.test(path)), [])
  t.strictSame(new Set(warnings.map(({ file }) => file)), new Set(['draft']))
})
