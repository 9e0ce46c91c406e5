// The command line as a person meets it: help, colours and widths on a real terminal, completion in a real shell.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import t from 'tap'
import { stringify } from 'yaml'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, GROUP_IDS } from '../src/demo/people.js'
import { createAuditSealer } from '../src/store/audit-seals.js'
import { openDatabase } from '../src/store/database.js'
import { migrate } from '../src/store/migrate.js'
import { runInProcess } from './helpers/command.js'
import { program, run } from './helpers/programs.js'
import { freshDatabase } from './helpers/postgres.js'

const home = mkdtempSync(join(tmpdir(), 'gatehouse-command-line-'))
t.teardown(() => rmSync(home, { recursive: true, force: true }))

const SEALING_SECRET = 'z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'

const PLAIN = { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined, TERM: 'xterm' }
const gatehouse = (...args: string[]) =>
  spawnSync(process.execPath, ['dist/cli.js', ...args], { encoding: 'utf8', env: PLAIN })

/** On a pseudo-terminal of that many columns; 0: it does not say. Standard output and standard error come as one. */
function onTerminal(args: string, columns: number, env: Record<string, string> = {}): string {
  const command = `stty cols ${columns}; "${process.execPath}" dist/cli.js ${args}`
  const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], {
    encoding: 'utf8',
    env: { ...PLAIN, ...env },
    input: '',
  })
  return stdout.replaceAll('\r', '')
}

const commands = [...(await runInProcess(['completion', 'bash'])).stdout.matchAll(/^ {4}'([^']*)'\) words=/gm)]
  .map(([, path = '']) => path)
// eslint-disable-next-line no-control-regex -- what a terminal takes for a colour
const COLOUR = /\u001b\[\d+m/g

function configFile(name: string, database: string, more: object = {}): string {
  const file = join(home, name)
  writeFileSync(
    file,
    stringify({
      server: { publicUrl: 'http://127.0.0.1:4180', host: '127.0.0.1', port: 0, management: { port: 0 } },
      entra: { tenantId: DEMO_TENANT_ID, clientId: DEMO_CLIENT_ID, clientSecret: 'x~yz' },
      database: { url: database },
      session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
      keys: { encryptionSecrets: [SEALING_SECRET] },
      groupMapping: [{ entraGroup: GROUP_IDS.netboxSuperusers, groups: ['NetBox Superusers'] }],
      ...more,
    }),
  )
  return file
}

t.test('every command describes its arguments, shows examples and its exit codes', async (t) => {
  t.ok(commands.length > 30, `${commands.length} commands`)
  for (const path of commands) {
    const { status, stdout } = await runInProcess([...path.split(' ').filter(Boolean), '--help'])
    t.equal(status, 0, path)
    t.match(stdout, /^Exit codes: 0 ok, 1 failed, 2 wrong usage, 78 /m, path)
    if (/^Commands:/m.test(stdout)) continue
    t.match(stdout, new RegExp(`^Examples:\n  gatehouse ${path}`, 'm'), path)
    const [, usage = ''] = /^Usage: (.*)/.exec(stdout) ?? []
    for (const [, name = ''] of usage.replace('[options]', '').matchAll(/[<[]([\w-]+)[>\]]/g)) {
      t.match(stdout, new RegExp(`^Arguments:\n(?:.*\n)*?  ${name} +\\S`, 'm'), `${path}: ${name}`)
    }
  }
  t.match((await runInProcess(['users', 'show', '--help'])).stdout, /username, the UPN[^]*e-mail\s+address[^]*id/)
})

t.test('commands that need no configuration do not offer one', async (t) => {
  for (const path of ['demo', 'import-netbox', 'completion']) {
    t.notMatch((await runInProcess([path, '--help'])).stdout, /--config/, path)
  }
  t.match((await runInProcess(['check', '--help'])).stdout, /--config/)
})

t.test('-v, --version and version print the same', async (t) => {
  const [first, ...others] = [['-v'], ['--version'], ['version']].map((args) => gatehouse(...args))
  t.match(first?.stdout, /^\d+\.\d+\.\d+\n$/)
  for (const { status, stdout } of others) t.strictSame({ status, stdout }, { status: 0, stdout: first?.stdout })
})

t.test('an invalid time is wrong usage; a full output device is reported in one line', async (t) => {
  const { status, stderr } = gatehouse('audit', 'list', '--since', 'yesterday')
  t.equal(status, 2)
  t.match(stderr, /ISO 8601/)
  t.match(gatehouse('audit', 'list', '--until', '13 o clock').stderr, /ISO 8601/)
  const command = `"${process.execPath}" dist/cli.js completion bash >/dev/full`
  const full = spawnSync('sh', ['-c', command], { encoding: 'utf8' })
  t.equal(full.status, 1)
  t.match(full.stderr, /^gatehouse: the output cannot be written: .*\n$/)
})

t.test('on a terminal lines are wrapped and coloured; not in a pipe, and not with NO_COLOR', async (t) => {
  if (program(t, 'script') === undefined) return
  const file = configFile('bad.yaml', 'postgres://x:y@127.0.0.1:1/z', {
    groupMapping: [{ entraGroup: 'NetBox Admins', groups: ['A group'] }],
  })
  const piped = gatehouse('check', '--offline', '--config', file).stderr
  t.ok(piped.split('\n').some((line) => line.length > 100), 'what is wrapped below')
  t.notMatch(piped, COLOUR)
  const wide = Math.max(...piped.split(/\s/).map((word) => word.length))
  for (const [columns, width] of [[60, 60], [100, 100], [0, 80]] as const) {
    const shown = onTerminal(`check --offline --config ${file}`, columns)
    t.match(shown, COLOUR, `${columns}`)
    const lines = shown.replaceAll(COLOUR, '').split('\n')
    for (const line of lines) t.ok(line.length <= Math.max(width, wide + 8), `${columns}: ${line}`)
    t.equal(lines.join(' ').replace(/\s+/g, ' ').trim(), piped.replace(/\s+/g, ' ').trim(), 'the same words')
    t.notMatch(onTerminal(`check --offline --config ${file}`, columns, { NO_COLOR: '1' }), COLOUR)
  }
  for (const env of [{}, { CI: 'true' }]) t.match(onTerminal('users --help', 80, env), COLOUR, Object.keys(env).join())
  t.notMatch(onTerminal('users --help', 80, { NO_COLOR: '1' }), COLOUR)
  t.doesNotThrow(() => JSON.parse(onTerminal(`check --offline --json --config ${file}`, 60)), 'JSON stays JSON')
})

t.test('audit verify names the first broken seal, and fails', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 1 })
  t.teardown(() => database.close())
  const sealer = createAuditSealer(database, { secrets: [SEALING_SECRET], retentionMs: 400 * 86_400_000 })
  for (const count of [3, 2]) {
    await database.ask((db) =>
      db.execute(sql`insert into audit_events (action, actor) select 'x', 'y' from generate_series(1, ${count})`)
    )
    await sealer.run()
  }
  const file = configFile('verify.yaml', url)
  const verify = (...args: string[]) => runInProcess(['audit', 'verify', ...args, '--config', file])
  const whole = await verify()
  t.equal(whole.status, 0, whole.stderr)
  const [hash = ''] = /[0-9a-f]{64}/.exec(whole.stdout) ?? []
  t.match(whole.stdout, `newest verified seal: 2, `)
  t.match(JSON.parse((await verify('--json', '--seal', hash.toUpperCase())).stdout), {
    ok: true,
    seals: 2,
    rows: 5,
    rowsPastRetention: 0,
    unsealed: 0,
    newest: { number: 2, hash, at: /Z$/ },
    broken: null,
  })
  t.match(await verify('--seal', 'f'.repeat(64)), { status: 1, stderr: /no seal has this hash/ })
  t.match(await verify('--seal', 'f'), { status: 2, stderr: /64 hexadecimal digits/ })

  await database.transaction(async (tx) => {
    await tx.execute(sql`set local session_replication_role = replica`)
    await tx.execute(sql`delete from audit_events where id = 4`)
  })
  const broken = await verify()
  t.equal(broken.status, 1)
  t.match(broken.stderr, /^gatehouse: seal 2 is broken: rows were deleted or inserted$/m)
  t.match(broken.stderr, /rows 4-5 \(2 sealed, 1 found\) from \S+Z to \S+Z/)
  const { status, stdout } = await verify('--json')
  t.equal(status, 1)
  t.match(JSON.parse(stdout), {
    ok: false,
    broken: { fault: 'count', seal: { number: 2, ids: '4-5', rows: 2, found: 1, sealedAt: /Z$/ } },
  })
})

t.test('audit list prints details as words and notes that there are more than 1,000', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const database = openDatabase({ server: url, poolSize: 1 })
  t.teardown(() => database.close())
  const insert = (count: number) =>
    database.ask((db) =>
      db.execute(sql`
    insert into audit_events (action, actor, detail)
    select 'test.event', 'cli:test', '{"groups": ["A", "B"], "by": {"name": "x"}, "none": null}'::jsonb
    from generate_series(1, ${count})`)
    )
  await insert(1_000)
  const file = configFile('audit.yaml', url)
  const all = gatehouse('audit', 'list', '--config', file)
  t.equal(all.status, 0, all.stderr)
  t.match(all.stdout, /test\.event +cli:test +(?:groups: A, B; by\.name: x|by\.name: x; groups: A, B)$/m)
  t.notMatch(all.stdout, /[{}"]/)
  t.notMatch(all.stderr, /more/)
  await insert(1)
  const more = gatehouse('audit', 'list', '--json', '--config', file)
  t.equal((JSON.parse(more.stdout) as unknown[]).length, 1_000)
  t.match(more.stderr, /only the newest 1,000 are listed/)

  await database.ask((db) =>
    db.execute(sql`insert into audit_events (action, actor, at)
    select 'hour.' || n, 'cli:test', '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 hour'
    from generate_series(0, 23) n`)
  )
  const between = (...times: string[]) => gatehouse('audit', 'list', '--json', ...times, '--config', file)
  const { stdout } = between('--since', '2026-01-01T10:00:00Z', '--until', '2026-01-01T12:00:00Z')
  t.strictSame((JSON.parse(stdout) as { action: string }[]).map(({ action }) => action), ['hour.11', 'hour.10'])
  t.equal((JSON.parse(between('--until', '2026-01-01T00:00:00Z').stdout) as unknown[]).length, 0)
  t.equal((JSON.parse(between('--until', '2026-01-01T00:00:01Z').stdout) as unknown[]).length, 1)
  const reversed = between('--since', '2h', '--until', '3h')
  t.equal(reversed.status, 2)
  t.match(reversed.stderr, /--since \(.*\) is not before --until \(.*\)/)
})

t.test('serve logs text with date and zone on a terminal, otherwise JSON; a failed start is logged once', async (t) => {
  if (program(t, 'script') === undefined) return
  const file = configFile('nowhere.yaml', 'postgres://x:y@127.0.0.1:1/z')
  const { status, stdout, stderr } = gatehouse('serve', '--config', file)
  t.equal(status, 1)
  t.equal(stderr, '', 'the log has it')
  const lines = stdout.trim().split('\n').map((line) => JSON.parse(line) as { level: string, detail?: string })
  t.equal(lines.filter(({ detail = '' }) => detail.includes('ECONNREFUSED')).length, 1)
  t.equal(lines.filter(({ level }) => level === 'fatal').length, 1)
  const shown = onTerminal(`serve --config ${file}`, 200).replaceAll(COLOUR, '')
  t.equal(shown.split('ECONNREFUSED').length, 2, shown)
  t.match(shown, /^gatehouse: .*ECONNREFUSED/m)

  const good = configFile('good.yaml', await freshDatabase(t))
  const command = `exec "${process.execPath}" dist/cli.js serve --config ${good}`
  const ready = (output: string): boolean => output.includes('in force')
  const serving = await run(t, 'script', ['-qefc', command, '/dev/null'], { ready })
  const text = serving.output().replaceAll(COLOUR, '')
  t.match(text, /^\[20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] INFO: configuration in force/m)
  const listening = text.split('\n').filter((line) => line.includes('listening for server.port'))
  t.equal(new Set(listening).size, listening.length, 'no line is there twice')
  t.match(listening[0], /listening for server\.port on http:\/\/127\.0\.0\.1:\d+/)
})

t.test('a port in use is named, and the remedy of the demo gives another one', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  const { status, stderr } = await runInProcess(['demo', '--port', String(port)])
  t.equal(status, 1)
  t.match(stderr, new RegExp(`port ${port} is in use\\n +Give another one: .*--port 8099`))
})

t.test('completion in bash', async (t) => {
  const bash = program(t, 'bash')
  if (bash === undefined) return
  const script = gatehouse('completion', 'bash').stdout
  const complete = (...words: string[]): string[] => {
    const asked = `${script}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}) COMP_CWORD=${words.length - 1}
_gatehouse; printf '%s\\n' "\${COMPREPLY[@]}"`
    return spawnSync(bash, ['--norc', '-c', asked], { encoding: 'utf8' }).stdout.trim().split('\n')
  }
  t.strictSame(complete('gatehouse', 'gro'), ['groups'])
  t.strictSame(complete('gatehouse', 'groups', 'gr'), ['grant'])
  t.strictSame(complete('gatehouse', 'groups', 'add', '--d'), ['--description'])
  t.strictSame(complete('gatehouse', '--json', 'users', 'list', '--w'), ['--why'])
  t.strictSame(complete('gatehouse', 'completion', ''), ['bash', 'zsh', 'fish', '--json', '--help'])
  t.ok(complete('gatehouse', 'check', '--config', 'package').includes('package.json'))
  t.ok(complete('gatehouse', 'import-netbox', 'READ').includes('README.md'))
  t.equal(spawnSync(bash, ['-n'], { input: script }).status, 0)
})

for (const shell of ['zsh', 'fish'] as const) {
  t.test(`completion in ${shell}`, async (t) => {
    const { status, stdout } = gatehouse('completion', shell)
    t.equal(status, 0)
    for (const path of commands) t.ok(stdout.includes(`'${path}'`) || stdout.includes(`\\'${path}\\'`), path)
    const found = spawnSync('sh', ['-c', `command -v ${shell}`], { encoding: 'utf8' }).stdout.trim()
    if (found === '') return t.comment(`${shell} is not installed: its syntax is not checked`)
    const file = join(home, `completion.${shell}`)
    writeFileSync(file, stdout)
    t.equal(spawnSync(found, ['-n', file]).status, 0, 'its syntax')
    if (shell !== 'fish') return
    const complete = (line: string): string[] =>
      spawnSync(
        found,
        ['--no-config', '-c', `source '${file}'; complete -C '${line}'`],
        { encoding: 'utf8' },
      ).stdout.trim().split('\n').map((each) => each.split('\t')[0] ?? '')
    t.strictSame(complete('gatehouse gro'), ['groups'])
    t.strictSame(complete('gatehouse groups gr'), ['grant'])
    t.strictSame(complete('gatehouse groups add --d'), ['--description'])
    t.strictSame(complete('gatehouse completion b'), ['bash'])
  })
}
