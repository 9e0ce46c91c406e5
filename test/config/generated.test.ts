// The committed schema, reference page and example say what the loader does.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import Schema from 'typebox/schema'
import { parse } from 'yaml'
import { configJsonSchema } from '../../src/config/json-schema.js'
import { loadConfig } from '../../src/config/load.js'
import { errorReference } from '../../src/docs/error-reference.js'
import { configReference } from '../../src/docs/config-reference.js'

const root = new URL('../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')

t.test('the JSON schema and the reference page are freshly generated', async (t) => {
  t.equal(
    read('config/gatehouse.schema.json'),
    `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
    'npm run build && node scripts/generate-config-docs.mjs',
  )
  t.equal(read('docs/errors.md'), errorReference(), 'npm run build && node scripts/generate-config-docs.mjs')
  t.equal(read('docs/configuration.md'), configReference(), 'npm run build && node scripts/generate-config-docs.mjs')
})

t.test('the example loads with the variables that its header names', async (t) => {
  const example = read('config/gatehouse.example.yaml')
  const values: Record<string, string> = {
    DATABASE_URL: 'postgres://gatehouse@db/gatehouse',
    SESSION_SECRET: 'q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv',
    KEY_ENCRYPTION_SECRET: 'z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua',
    ENTRA_CLIENT_SECRET: 'abc~def',
  }
  const names = [...example.matchAll(/^# {3}([A-Z_]+) {2,}/gm)].map(([, name = '']) => name)
  const env = Object.fromEntries(names.map((name) => [name, values[name] ?? '8d1f0000-1111-2222-3333-444444444444']))
  t.equal(names.length, 6)
  const { warnings } = loadConfig(fileURLToPath(new URL('config/gatehouse.example.yaml', root)), { env })
  t.strictSame(
    [...new Set(warnings.map(({ code }) => code))],
    ['placeholder'],
    'nothing to warn of but what must be replaced',
  )
})

t.test('the JSON schema accepts the example and refuses invalid configurations', async (t) => {
  const schema = configJsonSchema()
  const example = parse(read('config/gatehouse.example.yaml')) as Record<string, Record<string, unknown>>
  t.ok(Schema.Check(schema, example))
  t.notOk(Schema.Check(schema, { ...example, sesion: {} }), 'an unknown key')
  t.notOk(Schema.Check(schema, { ...example, session: { idleTimeout: '8h' } }), 'no secret')
  t.ok(Schema.Check(schema, { ...example, session: { secretsFile: 'x' } }), 'the twin is as good')
  t.notOk(Schema.Check(schema, { ...example, session: { secrets: ['x'], secretsFile: 'x' } }), 'but not both')
  t.notOk(Schema.Check(schema, { ...example, server: { ...example['server'], port: 'high' } }), 'a wrong type')
})
