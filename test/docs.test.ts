// What the guides show can be typed in: commands, options, codes and keys exist, and the example files are usable.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import t from 'tap'
import { readGroupsFile } from '../src/commands/groups-file.js'
import { loadConfig } from '../src/config/load.js'
import { configSchema } from '../src/config/schema.js'
import { FAILURES } from '../src/core/errors.js'
import { createGroupStore } from '../src/store/groups.js'
import { migrate } from '../src/store/migrate.js'
import { openDatabase } from '../src/store/database.js'
import { freshDatabase, stopPostgres } from './helpers/postgres.js'

t.teardown(stopPostgres)

const GUIDES = ['README.md', ...readdirSync('docs').filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)]
const read = (file: string): string => readFileSync(file, 'utf8')

/** `groups add` -> its options, from the one table of commands. */
const commands = new Map([...read('src/cli.ts').matchAll(/^command\((\w+), '([\w-]+)[^']*'.*\n((?: {2}\.option\(.*\n)*)/gm)]
  .map(([, parent, name = '', options = '']) => [parent === 'program' ? name : `${parent} ${name}`, [...options.matchAll(/'(--[\w-]+)/g)].map(([, option]) => option)]))

t.test('every command that a guide shows exists, with its options', async (t) => {
  t.ok(commands.size > 15)
  let seen = 0
  for (const guide of GUIDES) {
    for (const [, line = ''] of read(guide).matchAll(/(?:^|`)gatehouse ((?:[a-z-]+)(?: [^`\n#]*)?)/gm)) {
      const [first = '', second = ''] = line.split(' ')
      const name = commands.has(`${first} ${second}`) ? `${first} ${second}` : first
      t.ok(commands.has(name), `${guide}: gatehouse ${line}`)
      for (const [option] of line.matchAll(/--[\w-]+/g)) t.ok([...commands.get(name) ?? [], '--config', '--json', '--help'].includes(option), `${guide}: gatehouse ${name} ${option}`)
      seen++
    }
  }
  t.ok(seen > 30, `${seen} command lines`)
})

t.test('every code in the troubleshooting table exists', async (t) => {
  const [, table = ''] = /## Troubleshooting\n([\s\S]*?)\n## /.exec(read('docs/group-mapping.md')) ?? []
  const codes = table.split('\n').flatMap((row) => row.startsWith('| `') ? [...row.split('|')[1]?.matchAll(/`(\w+)`/g) ?? []].map(([, code = '']) => code) : [])
  t.ok(codes.length > 20)
  for (const code of codes) t.ok(code in FAILURES, code)
})

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
  for (const guide of GUIDES) {
    for (const [, key = ''] of read(guide).matchAll(/`([a-z]\w*\.\w+(?:\.\w+)*)(?:: [^`]*)?`/g)) {
      if (sections.includes(key.split('.')[0] ?? '') && !existsSync(key)) t.ok(known.has(key), `${guide}: ${key}`)
    }
  }
})

t.test('the example of the mapping is usable, and its groups are those of the file beside it', async (t) => {
  const env = { ENTRA_TENANT_ID: '11111111-2222-3333-4444-555555555555', ENTRA_CLIENT_ID: '11111111-2222-3333-4444-666666666666', ENTRA_CLIENT_SECRET: 'abc~def', DATABASE_URL: 'postgres://gatehouse@db/gatehouse', SESSION_SECRET: 'q7'.repeat(20), KEY_ENCRYPTION_SECRET: 'z4'.repeat(20) }
  const { config, warnings } = loadConfig('config/group-mapping.example.yaml', { env })
  t.strictSame([...new Set(warnings.map(({ code }) => code))], ['placeholder'], 'nothing but what is to be replaced')
  const definitions = readGroupsFile('config/group-mapping.groups.yaml')
  const names = definitions.map(({ name }) => name)
  for (const name of config.groupMapping.flatMap((row) => row.groups)) t.ok(names.includes(name), name)
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ url, poolSize: 1 })
  t.teardown(() => database.close())
  const groups = createGroupStore(database)
  const changes = await groups.apply(definitions, { actor: 'cli:test', dryRun: false })
  t.equal(changes.filter(({ change }) => change === 'added').length, names.length)
  t.strictSame(await groups.apply(definitions, { actor: 'cli:test', dryRun: false }), [])
})
