// The repository keeps its own promises: documentation names files that exist, every dependency has a reason, the
// container files fit together, and a clean checkout can be installed anywhere.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { dirname, join, relative } from 'node:path'
import { createProgram } from '../src/commands/program.js'
import { commandsOf } from '../src/commands/help.js'
import t from 'tap'
import Schema from 'typebox/schema'
import { parse } from 'yaml'
import { loadConfig } from '../src/config/load.js'
import { program } from './helpers/programs.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const exists = (path: string) => existsSync(join(root, path))

interface Service {
  readonly image?: string
  readonly build?: { readonly target: string }
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly entrypoint?: readonly string[]
  readonly network_mode?: string
  readonly networks?: Readonly<Record<string, { readonly ipv4_address?: string }>>
  readonly secrets?: readonly string[]
  readonly depends_on?: Readonly<Record<string, unknown>>
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly secrets?: Readonly<Record<string, { readonly file: string }>>
  readonly volumes?: object
}
interface Package {
  readonly dependencies: object
  readonly optionalDependencies: object
  readonly devDependencies: object
}
interface Locked {
  readonly version?: string
  readonly resolved?: string
  readonly dependencies?: object
  readonly optionalDependencies?: object
}

const manifest = JSON.parse(read('package.json')) as Package
const COMPOSE_FILES = ['docker-compose.yml', 'compose.production.yml'] as const
const compose = (file: string) => parse(read(file)) as Compose
/** By `gatehouse init`. */
const WRITTEN = /^config\/(gatehouse\.yaml|secrets|nginx|app-registration)(?![\w-])/
const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...filesUnder('docs').filter((file) => file.endsWith('.md')),
]

t.test('documentation', async (t) => {
  await t.test('names files and folders that exist', async (t) => {
    for (const document of DOCUMENTS) {
      const named = new Set(
        read(document).match(/(?<![\w/.-])(?:src|test|config|scripts|migrations|docs|examples)\/[\w./-]*[\w]/g),
      )
      for (const path of named) if (!WRITTEN.test(path)) t.ok(exists(path), `${document}: ${path}`)
    }
  })

  await t.test('links lead somewhere', async (t) => {
    for (const document of DOCUMENTS) {
      for (const [, target = ''] of read(document).matchAll(/\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g)) {
        t.ok(exists(join(dirname(document), target)), `${document}: ${target}`)
      }
    }
  })

  await t.test('docs/architecture.md names every folder and file at the top of src', async (t) => {
    const text = read('docs/architecture.md')
    for (const name of readdirSync(join(root, 'src'))) t.ok(text.includes(`src/${name}`), `src/${name}`)
  })

  await t.test('docs/architecture.md names every table', async (t) => {
    const text = read('docs/architecture.md')
    for (const [, name = ''] of read('src/store/schema.ts').matchAll(/pgTable\('(\w+)'/g)) {
      t.ok(text.includes(`\`${name}\``), name)
    }
  })

  await t.test('every dependency has a note in docs/decisions, and every note is in the index', async (t) => {
    const notes = filesUnder('docs/decisions').filter((file) => !file.endsWith('README.md'))
    const words = notes.map(read).join('\n')
    const packages = { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.devDependencies }
    for (const name of Object.keys(packages)) t.ok(words.includes(`\`${name}\``), name)
    for (const note of notes) {
      t.match(
        read(note),
        /^# .+\n\nStatus: (?:proposed|accepted|replaced by \S+), 20\d\d-\d\d-\d\d\.\n/,
        `${note} has a status`,
      )
      t.ok(read('docs/decisions/README.md').includes(`(${relative('docs/decisions', note)})`), note)
    }
  })

  await t.test('the configurations that README and docs/deployment.md show are usable as they stand', async (t) => {
    const env = {
      ENTRA_CLIENT_SECRET: 'abc~def',
      DATABASE_URL: 'postgres://gatehouse@db/gatehouse',
      SESSION_SECRET: 'q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv',
      KEY_ENCRYPTION_SECRET: 'z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua',
    }
    const secrets: Readonly<Record<string, string>> = {
      entra_client_secret: 'abc~def',
      database_url: env.DATABASE_URL,
      session_secrets: env.SESSION_SECRET,
      encryption_secrets: env.KEY_ENCRYPTION_SECRET,
    }
    for (const document of ['README.md', 'docs/deployment.md']) {
      const [, yaml = ''] = /```yaml\n([\s\S]*?)```/.exec(read(document)) ?? []
      const { warnings } = loadConfig('shown.yaml', {
        env,
        readFile: (path) => path.startsWith('/run/secrets/') ? secrets[path.slice(13)] ?? '' : yaml,
      })
      t.strictSame(warnings.map(({ code }) => code).filter((code) => code !== 'placeholder'), [], document)
    }
  })

  await t.test('README lists every command, and none of them as missing', async (t) => {
    const commands = commandsOf(createProgram()).filter(([, command]) => command.commands.length === 0)
      .map(([path]) => path)
    t.ok(commands.length > 8)
    const [, there = '', notYet = ''] =
      /\n## Commands\n([\s\S]*?)\n## What is not there yet\n([\s\S]*?)\n## /.exec(read('README.md')) ?? []
    for (const name of commands) {
      t.match(there, new RegExp(`\`${name}\\b`), name)
      t.notOk(
        notYet.includes(`\`${name}\``) || notYet.includes(`\`${name.split(' ')[0]}\``),
        `${name} is not also said to be missing`,
      )
    }
  })
})

t.test('no file contains a path of one machine', async (t) => {
  const forbidden = [
    new RegExp(`(?<![\\w.-])/${'work'}/`),
    new RegExp(`\\.\\./${'shared'}\\b`),
    new RegExp(`npm_config_${'registry'}|--${'registry'}\\b|${'index'}-url`),
  ]
  for (const file of filesUnder('.').filter((path) => path !== 'package-lock.json')) {
    const text = read(file)
    for (const pattern of forbidden) if (pattern.test(text)) t.fail(`${file}: ${pattern.exec(text)?.[0]}`)
  }
  t.pass()
})

t.test('benchmarks and scripts import what the build has', (t) => {
  for (const file of [...filesUnder('bench'), ...filesUnder('scripts')].filter((path) => path.endsWith('.mjs'))) {
    for (const [, names = '', path = ''] of read(file).matchAll(/import \{([^}]*)\} from '(\.[^']*)'/g)) {
      const source = join(dirname(file), path).replace(/^dist\/(.*)\.js$/, 'src/$1.ts')
      const missing = exists(source) ? namesIn(names).filter((name) => !exports(source, name)) : ['the file']
      t.strictSame(missing, [], `${file}: ${path}`)
    }
  }
  t.end()
})

t.test('tests end connections to their own database alone, because they share the server', (t) => {
  const ending = filesUnder('test').filter((file) => read(file).includes('pg_terminate_' + 'backend'))
  t.strictSame(ending, ['test/helpers/sql.ts'], 'by endConnections()')
  t.end()
})

/** What the previous release does not use itself: test/long/previous-release.test.ts runs it on the new schema. */
const REPLACED: Readonly<Record<string, RegExp>> = {
  'migrations/0007_outbox.sql': /^(LOCK TABLE |CREATE OR REPLACE FUNCTION gatehouse_\w+\(\) RETURNS trigger |DO BODY$)/,
  'migrations/0010_outbox_swept.sql': /^INSERT INTO "outbox" DEFAULT VALUES$/,
  'migrations/0013_admin_sessions.sql': /^DO BODY$/,
  // columns and an index of its own, which test/store/reevaluation-order.test.ts tries
  'migrations/0018_reevaluation_order.sql': /^(LOCK TABLE |DO BODY$|UPDATE entra_readings SET privileged = )/,
  'migrations/0019_audit_seals.sql': /^ALTER TABLE "audit_events" ALTER COLUMN "name_salt" SET DEFAULT /,
  'migrations/0021_tokens.sql': /^DO BODY$/,
  'migrations/0033_policy_numbers.sql': /^DO BODY$/, // a function: test/store/lost-history.test.ts
  'migrations/0032_notify_without_commit.sql': /^DO BODY$/, // a function: test/store/outbox.test.ts
  // a column of its own: test/store/policy-approvals.test.ts
  'migrations/0035_policy_approvals.sql': /^UPDATE "policy_drafts" d SET "editors" = /,
  // of a table that is new in the same release
  'migrations/0038_live_previews.sql': /^ALTER TABLE "policy_previews" (DROP|ADD) CONSTRAINT "policy_previews_\w+"/,
  'migrations/0022_membership_end.sql': /^DO BODY$/, // a function: test/store/outbox.test.ts
  // a column of its own: test/store/superusers-then.test.ts
  'migrations/0040_flags_recorded.sql': /^UPDATE "outbox" SET "flags_recorded_since" = /,
  'migrations/0041_reviews_fall.sql': /^DO BODY$/, // functions: test/store/access-reviews.test.ts
  // a table of its own: test/store/people-filters.test.ts
  'migrations/0039_user_names.sql': /^(DO BODY$|INSERT INTO user_names |DELETE FROM user_names )/,
  'migrations/0009_audit_months.sql': / "audit_events\w*" |^DO BODY$/, // and test/store/audit-months.test.ts
}

t.test('migrations only add, so that the previous version works on the new schema', async (t) => {
  for (const file of filesUnder('migrations').filter((path) => path.endsWith('.sql'))) {
    t.strictSame(moreThanAdded(read(file)).filter((statement) => !REPLACED[file]?.test(statement)), [], file)
  }

  const caught = [
    'DROP TABLE "users"',
    'ALTER TABLE "users" DROP COLUMN "name"',
    'ALTER TABLE "users" RENAME COLUMN "name" TO "called"',
    'ALTER TABLE "users" RENAME TO "people"',
    'ALTER TABLE "users" ADD COLUMN "x" text NOT NULL',
    'ALTER TABLE "users" ADD COLUMN "x" text DEFAULT \'\' NOT NULL UNIQUE',
    'ALTER TABLE "users" ADD COLUMN "x" text, DROP COLUMN "name"',
    'ALTER TABLE "users" ALTER COLUMN "name" SET NOT NULL',
    'ALTER TABLE "users" ALTER COLUMN "name" SET DATA TYPE varchar(9)',
    'ALTER TABLE "users" ADD CONSTRAINT "x" CHECK ("name" <> \'\')',
    'CREATE UNIQUE INDEX "x" ON "users" USING btree ("name")',
    'DROP TRIGGER gatehouse_told ON sessions',
    'CREATE OR REPLACE FUNCTION gatehouse_tell() RETURNS void LANGUAGE sql AS $$ SELECT 1; $$',
    "UPDATE users SET name = ''",
    'TRUNCATE sessions',
  ]
  for (const statement of caught) {
    t.strictSame(
      moreThanAdded(`-- why\nCREATE INDEX "a" ON "users" USING btree ("id");--> statement-breakpoint\n${statement};`)
        .length,
      1,
      statement,
    )
  }
  const key = 'ADD CONSTRAINT "k" FOREIGN KEY ("x") REFERENCES "public"."users"("id") ON DELETE'
  const added = 'ALTER TABLE "people" ADD COLUMN "x" uuid;'
  t.strictSame(moreThanAdded(`${added} ALTER TABLE "people" ${key} set null;`), [], 'a foreign key of a new column')
  t.equal(moreThanAdded(`${added} ALTER TABLE "people" ${key} no action;`).length, 1, 'a user could not be removed')
  t.equal(moreThanAdded(`ALTER TABLE "people" ${key} set null;`).length, 1, 'a foreign key of an old column')
  t.strictSame(
    moreThanAdded(
      'CREATE TABLE "x" ("user_id" uuid);--> statement-breakpoint\nALTER TABLE "x" ADD CONSTRAINT "y" FOREIGN KEY ' +
        '("user_id") REFERENCES "public"."users"("id") ON DELETE no action;',
    ).length,
    1,
    'a user could not be removed',
  )
})

t.test('package-lock.json can be installed anywhere', async (t) => {
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Readonly<Record<string, Locked>> }
  for (const [path, { resolved }] of Object.entries(packages)) {
    if (resolved !== undefined) t.fail(`${path} names the host it was fetched from`)
  }
  // `npm ci` refuses a lock that lacks a package which another one names, also an optional one for another system.
  const missing = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies }).filter((name) => !isLocked(packages, path, name)).map((
      name,
    ) => `${path} -> ${name}`)
  )
  t.strictSame(missing, [])
})

t.test('Dockerfile', async (t) => {
  const lines = read('Dockerfile').replace(/\\\n/g, ' ').split('\n').filter((line) => /^[A-Z]/.test(line))
  const stages = lines.filter((line) => line.startsWith('FROM')).map((line) => ({
    from: line.split(' ')[1],
    name: line.split(' ')[3] ?? '',
  }))

  await t.test('builds the gateway by default, and both targets that the compose files ask for', async (t) => {
    t.equal(stages.at(-1)?.name, 'runtime')
    const targets = COMPOSE_FILES.flatMap((file) =>
      Object.values(compose(file).services).flatMap(({ build }) => build?.target ?? [])
    )
    for (const target of targets) t.ok(stages.some(({ name }) => name === target), target)
  })

  await t.test('copies files that exist and that .dockerignore does not exclude', async (t) => {
    const allowed = read('.dockerignore').split('\n').filter((line) => line.startsWith('!')).map((line) =>
      line.slice(1)
    )
    for (const line of lines.filter((each) => each.startsWith('COPY'))) {
      const from = /--from=(\w+)/.exec(line)?.[1]
      if (from !== undefined) t.ok(stages.some(({ name }) => name === from), line)
      else {
        for (const source of line.split(/\s+/).slice(1, -1)) {
          t.ok(exists(source), source)
          t.ok(allowed.some((path) => source === path || source.startsWith(`${path}/`)), `${source} in .dockerignore`)
        }
      }
    }
  })

  await t.test('runs as an unprivileged user, and the gateway image does not contain the demo', async (t) => {
    const program = stageLines(lines, 'program')
    t.ok(program.includes('USER node'))
    t.notOk(program.some((line) => /demo/.test(line)), 'nothing of the demo is copied')
    t.strictSame(stageLines(lines, 'runtime'), [])
    t.equal(stages.at(-1)?.from, 'program')
    t.ok(stageLines(lines, 'build').some((line) => /mv dist\/demo .*rm -f dist\/commands\/demo\.js/.test(line)))
  })
})

for (const file of COMPOSE_FILES) {
  t.test(file, async (t) => {
    const { services, secrets = {}, volumes = {} } = compose(file)

    await t.test('is what the Compose Specification allows', async (t) => {
      const path = specification()
      if (path === undefined) {
        if (process.env.GATEHOUSE_TEST_REQUIRE_ALL) {
          t.fail('dclint, which ships the schema, is not installed, and nothing may be skipped here')
        } else t.plan(0, 'dclint, which ships the schema, is not installed')
        return
      }
      const schema = JSON.parse(readFileSync(path, 'utf8')) as object
      const [, errors] = Schema.Errors(schema, parse(read(file)))
      t.strictSame(errors.map(({ instancePath, message }) => `${instancePath} ${message}`), [])
      t.notOk(Schema.Check(schema, { services: { a: { image: 'x', prots: [] } } }), 'and the schema sees what is wrong')
    })

    await t.test('is read by Compose 1.29, which refuses a top-level name', async (t) => {
      t.notOk('name' in compose(file))
      const path = program(t, 'docker-compose')
      if (path === undefined) return
      const { status, stderr } = spawnSync(path, ['-f', file, 'config', '--quiet'], { encoding: 'utf8', cwd: root })
      t.equal(status, 0, stderr)
    })

    await t.test('names its volumes, because the name of the project is that of the folder', async (t) => {
      t.ok(Object.keys(volumes).length > 0)
      for (const [name, volume] of Object.entries(volumes)) {
        t.match((volume as { name?: string } | null)?.name, new RegExp(`^gatehouse(-demo)?_${name}$`))
      }
    })

    await t.test('publishes on 127.0.0.1 alone, and never the management port', async (t) => {
      const ports = Object.values(services).flatMap((service) => service.ports ?? [])
      t.ok(ports.length > 0)
      for (const port of ports) {
        t.match(port, /^127\.0\.0\.1:\d+:\d+$/)
        t.notMatch(port, /4181/)
      }
      t.notOk(Object.values(services).some(({ network_mode: mode }) => mode === 'host'))
    })

    await t.test('mounts existing files and declared volumes and secrets, waits for existing services', async (t) => {
      for (const [name, service] of Object.entries(services)) {
        for (const [source = ''] of (service.volumes ?? []).map((volume) => volume.split(':'))) {
          if (source === './config/gatehouse.yaml') {
            t.match(read('docs/deployment.md'), /Make `config\/gatehouse\.yaml`/, 'made by the operator')
          } else t.ok(source.startsWith('./') ? exists(source) : source in volumes, `${name}: ${source}`)
        }
        for (const secret of service.secrets ?? []) t.ok(secret in secrets, `${name}: ${secret}`)
        for (
          const other of [
            ...Object.keys(service.depends_on ?? {}),
            ...(service.network_mode ? [service.network_mode.replace(/^service:/, '')] : []),
          ]
        ) t.ok(other in services, `${name}: ${other}`)
      }
      for (const [name, { file: path }] of Object.entries(secrets)) {
        t.match(read('docs/deployment.md'), `secrets/${name}`, `${path} is explained`)
      }
    })
  })
}

t.test('the demo in containers', async (t) => {
  const { services } = compose('docker-compose.yml')
  const environment = (name: string) => services[name]?.environment ?? {}

  await t.test('is named demo-* throughout', async (t) => {
    for (const name of Object.keys(services)) t.match(name, /^demo-/)
  })

  await t.test('gives the gateway and nginx every variable they need', async (t) => {
    const needed = (
      text: string,
    ) => [...new Set([...text.replace(/^\s*#.*$/gm, '').matchAll(/\$\{([A-Z_]+)\}/g)].map(([, name = '']) => name))]
    const forGateway = needed(read('config/demo/gatehouse.yaml'))
    const templates = ['nginx.conf.template', 'nginx-circuits.conf.template']
    const forNginx = needed(templates.map((name) => read(`config/demo/${name}`)).join('\n'))
    t.ok(forGateway.length >= 4)
    t.ok(forNginx.length >= 4)
    for (const name of forGateway) t.ok(environment('demo-gatehouse')[name], name)
    for (const name of forNginx) t.ok(environment('demo-nginx')[name], name)
    const filter = new RegExp(environment('demo-nginx')['NGINX_ENVSUBST_FILTER'] ?? '')
    t.ok(forNginx.every((name) => filter.test(name)), 'the filter lets them through')
  })

  // proves: adv-demo-trusted-proxy
  await t.test('has a configuration without problems, and addresses that agree', async (t) => {
    const { config } = loadConfig(join(root, 'config/demo/gatehouse.yaml'), { env: environment('demo-gatehouse') })
    const entra = environment('demo-entra')
    const nginx = environment('demo-nginx')
    t.strictSame(entra['ENTRA_REDIRECT_URIS']?.split(','), [
      `${config.server.publicUrl}/oauth2/callback`,
      `${config.server.publicUrl}/oauth2/sign_in`,
    ])
    t.strictSame([config.entra.authorityHost, config.entra.graphUrl, config.entra.clientSecret], [
      entra['ENTRA_PUBLIC_URL'],
      entra['ENTRA_GRAPH_PUBLIC_URL'],
      entra['ENTRA_CLIENT_SECRET'],
    ])
    const addressOf = (name: string) => services[name]?.networks?.['demo']?.ipv4_address
    t.equal(nginx['DEMO_GATEWAY_UPSTREAM'], `${addressOf('demo-gatehouse')}:${config.server.port}`)
    const app = environment('demo-app')
    t.equal(nginx['DEMO_APP_UPSTREAM'], `${addressOf('demo-app')}:${app['DEMO_APP_PORT']}`)
    t.equal(nginx['DEMO_CIRCUITS_UPSTREAM'], `${addressOf('demo-app')}:${app['DEMO_CIRCUITS_PORT']}`)
    t.strictSame(config.server.trustedProxies, [addressOf('demo-nginx')])
    t.equal(environment('demo-gatehouse')['DEMO_FORWARD_TO'], 'demo-entra')
    t.match(
      read('config/demo/forward-entra.mjs'),
      `const PORTS = [${entra['ENTRA_PORT']}, ${entra['ENTRA_GRAPH_PORT']}]`,
    )
    for (const name of Object.keys(services)) t.match(addressOf(name), /^172\.30\.42\.\d+$/, `${name}: a fixed address`)
    const listening = [nginx['DEMO_APP_LISTEN'], nginx['DEMO_CIRCUITS_LISTEN']].map((port) => `127.0.0.1:${port}`)
    t.strictSame(config.applications.map(({ host }) => host), listening)
    t.equal(new URL(config.server.publicUrl).port, nginx['DEMO_AUTH_LISTEN'])
    const database = new URL(config.database.url ?? '')
    const postgres = environment('demo-postgres')
    t.strictSame([database.username, database.password, database.pathname], [
      postgres['POSTGRES_USER'],
      postgres['POSTGRES_PASSWORD'],
      `/${postgres['POSTGRES_DB']}`,
    ])
  })

  await t.test('starts programs that the build produces', async (t) => {
    const started = Object.values(services).flatMap(({ entrypoint }) => entrypoint ?? []).filter((part) =>
      part.startsWith('dist/')
    )
    t.equal(started.length, 2)
    for (const program of started) t.ok(exists(program.replace(/^dist/, 'src').replace(/\.js$/, '.ts')), program)
  })
})

/** Statements that a version which does not know of them might not live through, on tables that it reads and writes. */
function moreThanAdded(sql: string): string[] {
  const statements = sql.replace(/\$(\w*)\$[^]*?\$\1\$/g, 'BODY').replace(/--.*$/gm, '').split(';').map((each) =>
    each.replace(/\s+/g, ' ').trim()
  ).filter((each) => each !== '')
  const own = new Set([...sql.matchAll(/CREATE TABLE "(\w+)"/g)].map(([, name]) => name))
  return statements.filter((statement) => {
    // the version before is as right without an index, and fast where another one begins with the same columns
    if (/^(CREATE (TABLE|INDEX|FUNCTION|TRIGGER)|DROP INDEX) /.test(statement)) return false
    const [, table, action = ''] = /^(?:ALTER TABLE|CREATE UNIQUE INDEX "\w+" ON) "(\w+)" (.*)$/.exec(statement) ?? []
    if (/^ADD COLUMN [^,]+$/.test(action)) {
      return /UNIQUE|CHECK|PRIMARY|REFERENCES/.test(action) || (/NOT NULL/.test(action) && !/DEFAULT/.test(action))
    }
    if (refersFromNewColumn(table, action, sql)) return false
    return !own.has(table) || (/REFERENCES/.test(action) && !/ON DELETE (cascade|set null)/.test(action)) ||
      !/^(ADD CONSTRAINT|USING) /.test(action)
  })
}

/** A foreign key of a column that the same file adds: the version before leaves the column null. */
function refersFromNewColumn(table: string | undefined, action: string, sql: string): boolean {
  const [, column] =
    /^ADD CONSTRAINT "\w+" FOREIGN KEY \("(\w+)"\) REFERENCES .*ON DELETE (?:cascade|set null)/.exec(action) ?? []
  return column !== undefined && sql.includes(`ALTER TABLE "${table}" ADD COLUMN "${column}" `)
}

/** The Compose Specification's JSON schema, as dclint ships it. */
function specification(): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve('dclint/package.json')), 'schemas/compose.schema.json')
  } catch {
    return undefined
  }
}

/** Node's look-up: beside the package, then further up. */
function isLocked(packages: Readonly<Record<string, Locked>>, from: string, name: string): boolean {
  for (let at = from;; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    if (`${at === '' ? '' : `${at}/`}node_modules/${name}` in packages) return true
    if (at === '') return false
  }
}

function stageLines(lines: readonly string[], stage: string): string[] {
  const start = lines.findIndex((line) => line.startsWith('FROM') && line.endsWith(` AS ${stage}`))
  const end = lines.findIndex((line, index) => index > start && line.startsWith('FROM'))
  return lines.slice(start + 1, end === -1 ? undefined : end)
}

/** Text files of the repository, without what is built or installed. */
function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = folder === '.' ? name : `${folder}/${name}`
    if (
      ['node_modules', 'dist', '.git', '.tap', 'coverage', 'data', 'secrets'].includes(name) ||
      /\.(log|png|tgz)$/.test(name)
    ) return []
    return statSync(join(root, path)).isDirectory() ? filesUnder(path) : [path]
  })
}

t.test('a failing test fails the run, also with the embedded PostgreSQL in the process', async (t) => {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => name !== 'TEST_DATABASE_URL' && !/^_?TAP/.test(name)),
  )
  const { status, stdout } = spawnSync(process.execPath, ['scripts/test.mjs', 'test/fixtures/failing-on-purpose.ts'], {
    cwd: root,
    encoding: 'utf8',
    env,
  })
  t.match(stdout, /0 passed, 1 failed/)
  t.equal(status, 1)
})

/** The names of an import as the other file has them. */
function namesIn(list: string): readonly string[] {
  return list.split(',').map((name) => name.trim().split(' as ')[0] ?? '').filter((name) => name !== '')
}

function exports(file: string, name: string): boolean {
  return new RegExp(`^export (?:async )?(?:function\\*?|const|class) ${name}\\b`, 'm').test(read(file))
}
