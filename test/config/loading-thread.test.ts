// Long files and policies are loaded in a thread: with the same result, while the process goes on.
/* eslint-disable no-template-curly-in-string -- what the operator writes */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Config } from '../../src/config/config.js'
import { createLoadingThread } from '../../src/config/loading-thread.js'
import { loadConfig } from '../../src/config/load.js'
import { loadPolicy, type PolicyDocumentOptions } from '../../src/config/policy-document.js'
import { readPolicyEntries } from '../../src/config/policy-entries.js'
import { ConfigError } from '../../src/config/problem.js'

const ID = '8d1f0000-1111-2222-3333-444444444444'
const ENV = { HOST: 'wiki.corp.test', UNSET: undefined }
const PNG = Buffer.from('\x89PNG\r\n\x1a\nbytes', 'latin1')

const FILE = `server: { publicUrl: https://auth.corp.test, redirectDomains: [.corp.test] }
entra: { tenantId: ${ID}, clientId: ${ID}, clientSecretFile: secret.txt }
database: { url: postgres://u:p@h/db }
session: { secrets: [kJ8-first-Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv9], cookieDomain: corp.test }
keys: { encryptionSecrets: [uE3-second-Hm6Tn8Pc1Fy7Gs3Jv9Qe2] }
groupMapping: [{ entraGroup: ${ID}, groups: [Engineers] }]
access: { rules: [{ hosts: ["\${HOST}"], allow: authenticated }] }
branding: { logoFile: logo.png }
`

/** More than is loaded at once. */
const LONG = `${'# a long comment\n'.repeat(3_000)}`

function written(t: Test, text: string): string {
  const directory = t.testdir()
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'logo.png'), PNG)
  writeFileSync(join(directory, 'secret.txt'), 'abc~client-secret.def')
  writeFileSync(join(directory, 'gatehouse.yaml'), text)
  return join(directory, 'gatehouse.yaml')
}

/** With the contents of its images in place of functions. */
function comparable({ images, ...config }: Config) {
  return {
    ...config,
    images: images.map(({ content, ...image }) => ({ ...image, bytes: content().toString('latin1') })),
  }
}

async function failureOf(work: () => unknown): Promise<ConfigError> {
  try {
    await work()
  } catch (error) {
    if (error instanceof ConfigError) return error
  }
  throw new Error('it was loaded')
}

t.test('a file is loaded with the same result, whether it is short or long', async (t) => {
  const thread = createLoadingThread()
  for (const [kind, text] of [['short', FILE], ['long', LONG + FILE]] as const) {
    const file = written(t, text)
    const { positionOf, ...direct } = loadConfig(file, { env: ENV })
    const loaded = await thread.loadConfig(file, ENV)
    t.strictSame(comparable(loaded.config), comparable(direct.config), `${kind}: the configuration`)
    t.strictSame({ ...loaded, config: {}, positionOf: undefined }, { ...direct, config: {}, positionOf: undefined })
    t.ok(Buffer.isBuffer(loaded.config.images[0]?.content()), `${kind}: the logo is a buffer`)
    t.strictSame(positionOf('groupMapping[0]'), loaded.config.source?.positions.get('groupMapping[0]'))

    const wrong = written(t, `${text}unknown: 1\n`)
    const expected = await failureOf(() => loadConfig(wrong, { env: ENV }))
    t.strictSame(
      (await failureOf(() => thread.loadConfig(wrong, ENV))).problems,
      expected.problems,
      `${kind}: findings`,
    )
    t.equal(expected.problems[0]?.code, 'key_unknown')
  }
  const missing = await failureOf(() => thread.loadConfig('/nowhere/gatehouse.yaml', ENV))
  t.equal(missing.problems[0]?.code, 'file_missing')
})

t.test('a policy is loaded with the same result, whether it is short or long', async (t) => {
  const thread = createLoadingThread()
  const { config } = loadConfig(written(t, FILE), { env: ENV })
  const options: PolicyDocumentOptions = { name: 'draft', env: ENV }
  const policies = [
    `groupMapping: [{ entraGroup: ${ID}, superuser: true }]\nbranding: { logoFile: logo.png }\n`,
    'access: { rules: [{ hosts: ["${HOST}"], allow: authenticated }, { hosts: [b.test], allow: { groups: [X] } }] }\n',
    '',
  ]
  for (const policy of policies) {
    for (const text of [policy, LONG + policy]) {
      const direct = loadPolicy(text, config, options)
      const loaded = await thread.loadPolicy(text, config, options)
      t.strictSame(comparable(loaded.config), comparable(direct.config))
      t.strictSame(loaded.warnings, direct.warnings)
      t.equal(loaded.config.session, config.session, 'what is not of the policy is the same object')
    }
  }
  const wrong = `${LONG}requireMappedGroup: perhaps\n`
  const expected = await failureOf(() => loadPolicy(wrong, config, options))
  t.strictSame((await failureOf(() => thread.loadPolicy(wrong, config, options))).problems, expected.problems)
})

t.test('uploaded images come back with the policy that names them', async (t) => {
  const file = written(
    t,
    FILE.replace(/^(?:groupMapping|access|branding).*\n/gm, '') + 'policy: { source: database }\n',
  )
  const { config } = loadConfig(file, { env: ENV })
  const uploaded = [{ path: 'logo', type: 'image/png', sha256: '0'.repeat(64), content: () => PNG }] as const
  const text = `${LONG}access: { default: deny }\nbranding: { logo: logo }\n`
  const loaded = await createLoadingThread().loadPolicy(text, config, { name: 'version 3', env: {}, uploaded })
  t.strictSame(loaded.config.images.map(({ path, content }) => [path, content()]), [['logo', PNG]])
  t.equal(loaded.config.source?.file, 'version 3')
})

// proves: policy-long-in-a-thread
t.test('the process goes on meanwhile', async (t) => {
  const { config } = loadConfig(written(t, FILE), { env: ENV })
  const rows = Array.from(
    { length: 2_000 },
    (_each, index) =>
      `  - { entraGroup: 00000000-0000-4000-8000-${String(index).padStart(12, '0')}, groups: [G${index % 50}] }\n`,
  )
  const thread = createLoadingThread()
  const load = (text: string) => thread.loadPolicy(text, config, { name: 'draft', env: ENV })
  const loading = Promise.all([load(`groupMapping:\n${rows.join('')}`), load(`${LONG}requireMappedGroup: true\n`)])
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const [{ config: first }, { config: second }] = await loading
  clearInterval(timer)
  t.equal(first.groupMapping.length, 2_000)
  t.equal(second.requireMappedGroup, true)
  t.ok(turns > 20, `a timer of a millisecond ran ${turns} times`)
})

// proves: policy-entries-in-a-thread
t.test('the rows and rules of a long text are read in the thread too, with the same result', async (t) => {
  const row = (index: number) => `  - { entraGroup: ${String(index).padStart(8, '0')}-0000-4000-8000-000000000000 }\n`
  const text = `groupMapping:\n${Array.from({ length: 3_000 }, (_, index) => row(index)).join('')}`
  const thread = createLoadingThread()
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const read = await thread.readEntries(text)
  clearInterval(timer)
  t.equal(read.lists.groupMapping.entries.length, 3_000)
  t.strictSame(read, readPolicyEntries(text))
  t.strictSame(await thread.readEntries(row(1)), readPolicyEntries(row(1)))
  t.ok(turns > 20, `a timer of a millisecond ran ${turns} times`)
})

// proves: policy-thread-limit
t.test('a text that takes too long is given up, and the next one is read', async (t) => {
  const thread = createLoadingThread({ mostMs: 1 })
  const late = { message: 'the thread that loads the configuration is ended: no answer within 1 ms' }
  await Promise.all([t.rejects(thread.readEntries(LONG), late), t.rejects(thread.readEntries(`${LONG}a: 1`), late)])
  t.strictSame(await thread.readEntries('a: 1'), readPolicyEntries('a: 1'))
})
