// `gatehouse init`: by flags and by questions on a terminal, what it writes and with which rights, and what it refuses.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../src/config/load.js'
import { commonDomain } from '../src/init/answers.js'
import { runInProcess } from './helpers/command.js'
import { program } from './helpers/programs.js'

const TENANT = '5d1e7a60-3c3f-4b0e-9a55-0c7d8f2b1e44'
const CLIENT = '0b7f3c2d-6a51-4e9c-8d10-9e2f4a6b8c00'
const FLAGS = [
  '--tenant',
  TENANT,
  '--client',
  CLIENT,
  '--public-url',
  'https://auth.corp.test',
  '--application',
  'wiki.corp.test=127.0.0.1:8080',
  '--application',
  'net.corp.test=[::1]:8081',
]
const ENV = { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, TERM: 'xterm' }

const init = (...args: string[]) => runInProcess(['init', ...args], ENV)

function home(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-init-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)
const filesIn = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
const read = (...path: string[]): string => readFileSync(join(...path), 'utf8')

t.test('with flags init writes a configuration that check accepts once the client secret is filled in', async (t) => {
  const folder = join(home(t), 'a b', 'é')
  const { status, stdout, stderr } = await init('--dir', folder, ...FLAGS)
  t.equal(status, 0, stderr)
  const file = join(folder, 'gatehouse.yaml')
  t.throws(() => loadConfig(file, { env: {} }), /client-secret is empty/, 'the secret is awaited')
  writeFileSync(join(folder, 'secrets/client-secret'), 'abc~def\n')
  t.equal(modeOf(join(folder, 'secrets/client-secret')), '600', 'it was made for it')
  const { config, warnings } = loadConfig(file, { env: {} })
  t.strictSame(warnings.map(({ code }) => code), ['mapping_empty'], 'which is what to do next')
  t.equal(config.session.cookieDomain, 'corp.test')
  t.strictSame(config.server.redirectDomains, ['wiki.corp.test', 'net.corp.test'])
  t.strictSame(config.access.rules.map(({ hosts, allow }) => [hosts, allow]), [[['wiki.corp.test'], 'authenticated'], [[
    'net.corp.test',
  ], 'authenticated']])
  t.equal(config.access.default, 'deny')
  t.notSame(config.session.secrets, config.keys.encryptionSecrets)
  const checked = await runInProcess(['check', '--offline', '--json', '--config', file])
  const { warnings: all } = JSON.parse(checked.stdout) as { warnings: { code: string }[] }
  t.strictSame(all.map(({ code }) => code), ['mapping_empty'], checked.stdout)
  for (const secret of [...config.session.secrets, ...config.keys.encryptionSecrets]) {
    t.notOk(stdout.includes(secret), 'no secret is printed')
  }
  for (const line of read(file).split('\n')) t.ok(line.length <= 120, line)
  t.match(stdout, /'.*a b\/é\/app-registration\.sh'/, 'what is printed can be typed in')
})

t.test('the registration is the same in the text, in the manifest and in the output', async (t) => {
  const folder = home(t)
  const { stdout } = await init('--dir', folder, '--json', ...FLAGS)
  const printed = JSON.parse(stdout) as { registration: { manifest: object }, next: { what: string }[] }
  const manifest = JSON.parse(read(folder, 'app-registration.json')) as {
    web: { redirectUris: string[], logoutUrl: string }
    optionalClaims: { idToken: { name: string }[] }
  }
  t.strictSame(printed.registration.manifest, manifest)
  t.match(manifest, {
    signInAudience: 'AzureADMyOrg',
    web: {
      redirectUris: ['https://auth.corp.test/oauth2/callback', 'https://auth.corp.test/oauth2/sign_in'],
      logoutUrl: 'https://auth.corp.test/oauth2/frontchannel-logout',
    },
    requiredResourceAccess: [{
      resourceAppId: '00000003-0000-0000-c000-000000000000',
      resourceAccess: [{ id: 'e1fe6dd8-ba31-4d61-89e7-88639da4683d', type: 'Scope' }],
    }],
  })
  const words = read(folder, 'app-registration.md')
  for (const address of [...manifest.web.redirectUris, manifest.web.logoutUrl]) t.ok(words.includes(`\`${address}\``))
  const guide = readFileSync('docs/group-mapping.md', 'utf8')
  for (const { name } of manifest.optionalClaims.idToken) {
    t.ok(words.includes(`\`${name}\``), name)
    t.ok(guide.includes(`\`${name}\``), `docs/group-mapping.md: ${name}`)
  }
  t.ok(printed.next.length >= 4)
})

// proves: adv-init-secret-mode, adv-init-secrets-folder
t.test('under any umask only the owner can read secrets, and no file is writable for all', async (t) => {
  for (const umask of ['000', '077']) {
    const folder = join(home(t), 'new')
    const args = ['init', '--dir', folder, '--database', 'postgres://u:p4ss@db.corp.test/g', ...FLAGS]
    const command = `umask ${umask}; exec "$0" dist/cli.js "$@"`
    const { status, stderr } = spawnSync('sh', ['-c', command, process.execPath, ...args], {
      encoding: 'utf8',
      env: ENV,
    })
    t.equal(status, 0, `umask ${umask}: ${stderr}`)
    t.equal(modeOf(join(folder, 'secrets')), '700')
    const secrets = readdirSync(join(folder, 'secrets'))
    t.strictSame(secrets.sort(), ['client-secret', 'database-url', 'encryption-secrets', 'session-secrets'])
    for (const name of secrets) t.equal(modeOf(join(folder, 'secrets', name)), '600', name)
    for (const name of ['.', ...filesIn(folder)]) t.equal(statSync(join(folder, name)).mode & 0o022, 0, name)
    for (const name of filesIn(folder)) {
      if (name === 'secrets/database-url' || statSync(join(folder, name)).isDirectory()) continue
      t.notMatch(read(folder, name), /p4ss/, `${name}: the password is in its own file alone`)
    }
  }
})

t.test('every wrong or missing flag is reported at once, as wrong usage, and nothing is written', async (t) => {
  const folder = join(home(t), 'new')
  const problemsOf = async (...args: string[]) => {
    const { status, stdout } = await init('--dir', folder, '--json', ...args)
    t.equal(status, 2, stdout)
    t.notOk(existsSync(folder))
    return (JSON.parse(stdout) as { problems: { code: string }[] }).problems.map(({ code }) => code)
  }
  t.strictSame(await problemsOf(), ['flag_missing', 'flag_missing', 'flag_missing'])
  t.strictSame(
    await problemsOf(
      '--tenant',
      'contoso.com',
      '--client',
      'x',
      '--public-url',
      'http://auth.corp.test',
      '--application',
      'a/b',
      '--database',
      'mysql://u:p@h/d',
      '--proxy',
      'apache',
      '--certificate',
      '/a b',
      '--certificate-key',
      'key.pem',
    ),
    [
      'tenant_domain',
      'guid_invalid',
      'origin_https',
      'application_host',
      'database_invalid',
      'proxy_unknown',
      'certificate_path',
      'certificate_path',
    ],
  )
  const wrong = async (flag: string, value: string) => {
    const right = { tenant: TENANT, 'public-url': 'auth.corp.test', application: 'wiki.corp.test' }
    return await problemsOf(
      ...Object.entries({ ...right, [flag]: value }).flatMap(([name, text]) => [`--${name}`, text]),
    )
  }
  const cases: [flag: string, value: string, code: string][] = [
    ['tenant', 'common', 'tenant_several'],
    ['tenant', 'My Company', 'guid_invalid'],
    ['public-url', 'https://auth.corp.test/login', 'origin_path'],
    ['public-url', 'https://10.0.0.1', 'public_url_name'],
    ['public-url', 'https://auth', 'public_url_name'],
    ['public-url', 'http://localhost:4180', 'public_url_https'],
    ['application', 'auth.corp.test', 'application_is_gatehouse'],
    ['application', 'wiki.other.test', 'application_outside'],
    ['application', 'wiki.corp.test=8080', 'application_upstream'],
    ['application', 'wiki.corp.test=http://127.0.0.1:8080', 'application_upstream'],
    ['application', 'wiki.corp.test;', 'application_host'],
    ['application', 'wiki.corp.test:8443', 'application_host'],
    ['database', 'postgres://u:p/ss@h/d', 'database_url_invalid'],
  ]
  for (const [flag, value, code] of cases) t.strictSame(await wrong(flag, value), [code], `${flag} ${value}`)
  const { stderr } = await init('--dir', folder, '--database', 'mysql://u:p4ss@h/d')
  t.notMatch(stderr, /p4ss/)
  t.match(stderr, /--tenant is missing/)
})

t.test('the cookie domain is the narrowest common one, and never a public suffix', async (t) => {
  t.equal(commonDomain(['auth.a.corp.test', 'x.a.corp.test']), 'a.corp.test')
  t.equal(commonDomain(['auth.corp.test', 'x.auth.corp.test']), 'auth.corp.test')
  t.equal(commonDomain(['auth.a.co.uk', 'wiki.b.co.uk']), undefined)
  t.equal(commonDomain(['a.github.io', 'b.github.io']), undefined)
})

// proves: adv-init-keeps-secrets
t.test('existing files are not replaced; with --force they are renamed, and secrets are kept', async (t) => {
  const folder = home(t)
  t.equal((await init('--dir', folder, ...FLAGS)).status, 0)
  const secrets = ['session-secrets', 'encryption-secrets'].map((name) => read(folder, 'secrets', name))
  writeFileSync(join(folder, 'secrets/client-secret'), 'abc~def')
  writeFileSync(join(folder, 'gatehouse.yaml'), '# mine\n')
  const before = filesIn(folder)
  const refused = await init('--dir', folder, '--json', ...FLAGS)
  t.equal(refused.status, 1)
  t.match(JSON.parse(refused.stdout), { error: 'files_exist' })
  t.strictSame(filesIn(folder), before)
  t.equal(read(folder, 'gatehouse.yaml'), '# mine\n')

  const forced = await init('--dir', folder, '--force', '--json', ...FLAGS)
  t.equal(forced.status, 0, forced.stderr)
  const { kept, saved } = JSON.parse(forced.stdout) as { kept: string[], saved: string[] }
  t.strictSame(kept, ['secrets/session-secrets', 'secrets/encryption-secrets', 'secrets/client-secret'])
  t.strictSame(saved.length, 1)
  t.equal(read(folder, saved[0] ?? ''), '# mine\n')
  t.match(read(folder, 'gatehouse.yaml'), /^ {2}publicUrl: https:\/\/auth\.corp\.test/m)
  t.strictSame(['session-secrets', 'encryption-secrets'].map((name) => read(folder, 'secrets', name)), secrets)
  t.equal(read(folder, 'secrets/client-secret'), 'abc~def')
})

t.test('a folder that is not writable, or is writable for all, is refused and stays unchanged', async (t) => {
  const place = home(t)
  writeFileSync(join(place, 'file'), '')
  const below = await init('--dir', join(place, 'file/below'), '--json', ...FLAGS)
  t.equal(below.status, 1)
  t.match(JSON.parse(below.stdout), { error: 'folder_unwritable' })

  const half = join(place, 'half') // the proxy's folder cannot be made: a file has its name
  mkdirSync(half)
  writeFileSync(join(half, 'nginx'), 'a file')
  t.equal((await init('--dir', half, ...FLAGS)).status, 1)
  t.strictSame(filesIn(half), ['nginx'], 'nothing is half written')

  const open = join(place, 'open')
  mkdirSync(open)
  chmodSync(open, 0o777)
  const everybody = await init('--dir', open, '--json', ...FLAGS)
  t.match(JSON.parse(everybody.stdout), { error: 'folder_open' })
  t.strictSame(filesIn(open), [])

  const linked = join(place, 'linked')
  mkdirSync(linked)
  symlinkSync(join(place, 'nowhere'), join(linked, 'gatehouse.yaml'))
  t.equal((await init('--dir', linked, ...FLAGS)).status, 1, 'a link that leads nowhere is there too')
  t.notOk(existsSync(join(place, 'nowhere')))
})

/** Answers typed in on a pseudo-terminal. */
function onTerminal(args: readonly string[], input: string) {
  const quoted = args.map((word) => `'${word}'`).join(' ')
  return spawnSync('script', ['-qec', `"${process.execPath}" dist/cli.js init ${quoted}`, '/dev/null'], {
    encoding: 'utf8',
    env: ENV,
    input,
    timeout: 60_000,
  })
}

t.test('on a terminal init asks questions, and repeats one with the reason if the answer is invalid', async (t) => {
  if (program(t, 'script') === undefined) return
  const folder = join(home(t), 'new')
  const answers = [
    'contoso.com',
    TENANT,
    '',
    'auth.corp.test',
    'auth.corp.test',
    'wiki.corp.test=127.0.0.1:9000',
    '',
    '',
    'squid',
    'caddy',
  ]
  const { status, stdout } = onTerminal(['--dir', folder], `${answers.join('\n')}\n`)
  t.equal(status, 0, stdout)
  const reasons = [/looks like a domain/, /the host of the public\s+URL/, /must be one of nginx/]
  for (const reason of reasons) t.match(stdout, reason)
  t.match(stdout, /Database: embedded.*\[embedded\]/, 'the default is shown')
  t.match(read(folder, 'gatehouse.yaml'), /clientId: 00000000-0000-0000-0000-000000000000/)
  t.match(read(folder, 'caddy/Caddyfile'), /reverse_proxy 127\.0\.0\.1:9000/)
})

t.test('on a terminal init does not ask what a flag gives, and writes nothing if the input ends early', async (t) => {
  if (program(t, 'script') === undefined) return
  const folder = join(home(t), 'new')
  const all = [...FLAGS, '--database', 'embedded', '--proxy', 'none']
  const asked = onTerminal(['--dir', folder, ...all], '')
  t.equal(asked.status, 0, asked.stdout)
  t.notMatch(asked.stdout, /Directory \(tenant\) ID:/)
  const other = join(home(t), 'new')
  const stopped = onTerminal(['--dir', other], `${TENANT}\n\u0004`)
  t.equal(stopped.status, 1, stopped.stdout)
  t.match(stopped.stdout, /nothing was written/)
  t.notOk(existsSync(other))
})

t.test('the script registers with az, fills in client ID and secret, and can run again', async (t) => {
  const folder = join(home(t), 'a b')
  t.equal((await init('--dir', folder, ...FLAGS.filter((word) => word !== '--client' && word !== CLIENT))).status, 0)
  const tools = home(t)
  const calls = join(tools, 'calls')
  writeFileSync(
    join(tools, 'az'),
    `#!/bin/sh
echo "$*" >> "${calls}"
case "$*" in
  'account show'*) echo ${TENANT} ;;
  'rest --method POST'*) echo ${CLIENT} ;;
  'ad sp show'*) exit 3 ;;
  'ad app credential reset'*) echo abc~def ;;
esac
`,
    { mode: 0o755 },
  )
  const register = () =>
    spawnSync('sh', [join(folder, 'app-registration.sh')], {
      encoding: 'utf8',
      env: { ...ENV, PATH: `${tools}:${process.env.PATH}` },
    })
  const first = register()
  t.equal(first.status, 0, first.stderr)
  const { config } = loadConfig(join(folder, 'gatehouse.yaml'), { env: {} })
  t.equal(config.entra.clientId, CLIENT)
  t.equal(config.entra.clientSecret, 'abc~def')
  t.equal(modeOf(join(folder, 'secrets/client-secret')), '600')
  t.notMatch(`${first.stdout}${first.stderr}`, /abc~def/)
  const made = read(calls)
  t.match(made, /^rest --method POST .*graph\.microsoft\.com\/v1\.0\/applications .*--body @app-registration\.json/m)
  t.match(made, new RegExp(`^ad sp create --id ${CLIENT}`, 'm'))
  t.match(made, new RegExp(`^ad app permission admin-consent --id ${CLIENT}`, 'm'))
  writeFileSync(calls, '')
  t.equal(register().status, 0)
  t.match(read(calls), new RegExp(`^rest --method PATCH .*applications\\(appId='${CLIENT}'\\)`, 'm'))
  t.notMatch(read(calls), /POST|credential reset/, 'no second registration, no second secret')
})

t.test('check without a configuration names init', async (t) => {
  const { status, stderr } = await runInProcess(['check', '--config', join(home(t), 'none.yaml')])
  t.equal(status, 78)
  t.match(stderr, /gatehouse init/)
})
