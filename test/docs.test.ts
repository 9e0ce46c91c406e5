// What the guides show can be typed in: commands, options, codes and keys exist, and the example files are usable.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { createProgram } from '../src/commands/program.js'
import { commandsOf } from '../src/commands/help.js'
import t from 'tap'
import { readGroupsFile } from '../src/commands/groups-file.js'
import { loadConfig } from '../src/config/load.js'
import { configSchema } from '../src/config/schema.js'
import { FAILURES } from '../src/core/errors.js'
import { createGroupAdmin } from './helpers/acts.js'
import { migrate } from '../src/store/migrate.js'
import { openDatabase } from '../src/store/database.js'
import { freshDatabase } from './helpers/postgres.js'

const GUIDES = [
  'README.md',
  ...['docs', 'docs/applications'].flatMap((folder) =>
    readdirSync(folder).filter((name) => name.endsWith('.md')).map((name) => `${folder}/${name}`)
  ),
]
const read = (file: string): string => readFileSync(file, 'utf8')

/** `groups add` -> its options. */
const commands = new Map(
  commandsOf(createProgram())
    .filter(([, command]) => command.commands.length === 0)
    .map(([path, command]) => [path, command.options.map(({ long }) => long)]),
)

t.test('every command that a guide shows exists, with its options', async (t) => {
  t.ok(commands.size > 15)
  let seen = 0
  for (const guide of GUIDES) {
    for (const [, line = ''] of read(guide).matchAll(/(?:^|`)gatehouse ((?:[a-z-]+)(?: [^`\n#]*)?)/gm)) {
      const [first = '', second = ''] = line.split(' ')
      const name = commands.has(`${first} ${second}`) ? `${first} ${second}` : first
      t.ok(commands.has(name), `${guide}: gatehouse ${line}`)
      for (const [option] of line.matchAll(/--[\w-]+/g)) {
        t.ok(
          [...commands.get(name) ?? [], '--config', '--json', '--help'].includes(option),
          `${guide}: gatehouse ${name} ${option}`,
        )
      }
      seen++
    }
  }
  t.ok(seen > 30, `${seen} command lines`)
})

t.test('every code in the troubleshooting table exists', async (t) => {
  const [, table = ''] = /## Troubleshooting\n([\s\S]*?)\n## /.exec(read('docs/group-mapping.md')) ?? []
  const codes = table.split('\n').flatMap((row) =>
    row.startsWith('| `') ? [...row.split('|')[1]?.matchAll(/`(\w+)`/g) ?? []].map(([, code = '']) => code) : []
  )
  t.ok(codes.length > 20)
  for (const code of codes) t.ok(code in FAILURES, code)
})

/** The actions of audit rows, some of which look like keys. */
function auditActions(): ReadonlySet<string> {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const found = files.flatMap((file) => [...read(`src/${file}`).matchAll(/\baction: '([a-z._]+)'/g)])
  return new Set(found.map(([, action = '']) => action))
}

t.test('every configuration key that a guide names exists', async (t) => {
  const known = new Set<string>()
  const collect = (schema: { properties?: object, items?: object }, path: string): void => {
    for (const [key, value] of Object.entries(schema.properties ?? {})) {
      const at = path === '' ? key : `${path}.${key}`
      known.add(at).add(`${at}File`)
      collect(value as { properties?: object }, at)
      collect((value as { items?: { properties?: object } }).items ?? {}, at)
    }
  }
  collect(configSchema, '')
  const sections = Object.keys(configSchema.properties)
  const actions = auditActions()
  t.ok(actions.has('policy.deployed'))
  for (const guide of GUIDES) {
    for (const [, key = ''] of read(guide).matchAll(/`([a-z]\w*\.\w+(?:\.\w+)*)(?:: [^`]*)?`/g)) {
      if (actions.has(key)) continue
      if (sections.includes(key.split('.')[0] ?? '') && !existsSync(key)) t.ok(known.has(key), `${guide}: ${key}`)
    }
  }
})

t.test('the parts of a configuration that guides show are usable', async (t) => {
  const base = `entra:
  tenantId: 5d1e7a60-3c3f-4b0e-9a55-0c7d8f2b1e44
  clientId: 0b7f3c2d-6a51-4e9c-8d10-9e2f4a6b8c00
  clientSecret: abc~def
database: { url: postgres://gatehouse@db/gatehouse }
keys: { encryptionSecrets: [${'z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'}] }
`
  const sections = {
    server: 'server: { publicUrl: https://auth.example.com, redirectDomains: [.example.com] }\n',
    session: `session: { secrets: [${'q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'}], cookieDomain: example.com }\n`,
    groupMapping: 'groupMapping: []\n',
  }
  let seen = 0
  for (const guide of GUIDES) {
    for (const [, part = ''] of read(guide).matchAll(/```yaml\n((?:access|headers):[\s\S]*?)```/g)) {
      const yaml = `${base}${
        Object.entries(sections).map(([key, text]) => new RegExp(`^${key}:`, 'm').test(part) ? '' : text).join('')
      }${part}`
      const { warnings } = loadConfig('shown.yaml', { env: {}, readFile: () => yaml })
      t.strictSame(
        warnings.map(({ code }) => code).filter((code) => !['placeholder', 'mapping_empty'].includes(code)),
        [],
        `${guide}: ${part.slice(0, 60)}`,
      )
      seen++
    }
  }
  t.ok(seen > 3, `${seen} parts`)
})

t.test('the example of the mapping is usable, and its groups are those of the file beside it', async (t) => {
  const env = {
    ENTRA_TENANT_ID: '11111111-2222-3333-4444-555555555555',
    ENTRA_CLIENT_ID: '11111111-2222-3333-4444-666666666666',
    ENTRA_CLIENT_SECRET: 'abc~def',
    DATABASE_URL: 'postgres://gatehouse@db/gatehouse',
    SESSION_SECRET: 'q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv',
    KEY_ENCRYPTION_SECRET: 'z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua',
  }
  const { config, warnings } = loadConfig('config/group-mapping.example.yaml', { env })
  t.strictSame([...new Set(warnings.map(({ code }) => code))], ['placeholder'], 'nothing but what is to be replaced')
  const definitions = readGroupsFile('config/group-mapping.groups.yaml')
  const names = definitions.map(({ name }) => name)
  for (const name of config.groupMapping.flatMap((row) => row.groups)) t.ok(names.includes(name), name)
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 1 })
  t.teardown(() => database.close())
  const groups = createGroupAdmin(database)
  const changes = await groups.apply(definitions, { actor: 'cli:test', dryRun: false })
  t.equal(changes.filter(({ change }) => change === 'added').length, names.length)
  t.strictSame(await groups.apply(definitions, { actor: 'cli:test', dryRun: false }), [])
})
