// What `gatehouse init` writes, on the real programs: each proxy takes its files as they are, and README's quick start
// leads from the build to a person signed in behind nginx.
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { createDirectory } from '../../src/demo/directory.js'
import { startEntra } from '../../src/demo/entra/server.js'
import type { OptionalClaim } from '../../src/demo/entra/types.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, PERSON_IDS, seedDemoDirectory } from '../../src/demo/people.js'
import { CLIENT_SECRET, freePorts, pickPerson, registration } from '../helpers/gateway.js'
import { freshDatabase } from '../helpers/postgres.js'
import { newestProxy, program, run, skip } from '../helpers/programs.js'
import { browserAt, identityFiles, loopbackAddress, replaced } from '../helpers/proxies-scene.js'
import { startUpstream } from '../helpers/upstream.js'

t.setTimeout(300_000)

const TENANT = '5d1e7a60-3c3f-4b0e-9a55-0c7d8f2b1e44' // README's

function home(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-init-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function init(t: Test, folder: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(process.execPath, ['dist/cli.js', 'init', '--dir', folder, ...args], {
    encoding: 'utf8',
  })
  t.equal(status, 0, stderr)
}

/** nginx with the files in the place where the printed commands put them. */
function nginxHome(t: Test, written: string): string {
  const place = home(t)
  cpSync(join(written, 'nginx'), place, { recursive: true })
  const parts = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const paths = parts.map((each) => `${each}_temp_path ${place}/${each};`)
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  writeFileSync(
    join(place, 'nginx.conf'),
    `${user} daemon off; pid ${place}/nginx.pid; error_log stderr warn;
events {} http { access_log off; ${paths.join(' ')} include ${place}/gatehouse.conf; }`,
  )
  return place
}

/** What Caddy says of the shipped file, as it is meant to be, and of a certificate that names no OCSP server. */
const EXPECTED = /admin endpoint disabled|stapling OCSP/

const SITE = [
  '--tenant',
  TENANT,
  '--public-url',
  'https://auth.example.com:8443',
  '--application',
  'wiki.example.com=127.0.0.1:9001',
  '--application',
  'net.example.com=127.0.0.1:9002',
]

t.test('each proxy accepts its generated files without a warning', async (t) => {
  const { certificate, key } = identityFiles(t)
  const both = join(home(t), 'both.pem')
  writeFileSync(both, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'), { mode: 0o600 })
  const judged = async (
    name: string,
    paths: (t: Test) => string | undefined,
    args: (folder: string, t: Test) => string[],
  ) =>
    await t.test(name, async (t) => {
      const path = paths(t)
      if (path === undefined) return
      const folder = home(t)
      const proxy = name.split(' ')[0] ?? ''
      const pair = proxy === 'haproxy' ? [both, both] : [certificate, key]
      init(t, folder, ...SITE, '--proxy', proxy, '--certificate', pair[0] ?? '', '--certificate-key', pair[1] ?? '')
      const { status, stdout, stderr } = spawnSync(path, args(folder, t), {
        encoding: 'utf8',
        env: { ...process.env, HOME: folder },
      })
      t.equal(status, 0, `${stdout}${stderr}`)
      const warnings = `${stdout}${stderr}`.split('\n').filter((line) => /warn/i.test(line))
      t.strictSame(warnings.filter((line) => !EXPECTED.test(line)), [])
    })
  const nginx = (folder: string, t: Test) => {
    const place = nginxHome(t, folder)
    return ['-t', '-p', place, '-c', join(place, 'nginx.conf'), '-e', 'stderr']
  }
  const caddy = (folder: string) => ['validate', '--adapter', 'caddyfile', '--config', join(folder, 'caddy/Caddyfile')]
  await judged('nginx', (t) => program(t, 'nginx'), nginx)
  await judged('nginx newest', (t) => newestProxy(t, 'nginx'), nginx)
  await judged('caddy', (t) => program(t, 'caddy'), caddy)
  await judged('caddy newest', (t) => newestProxy(t, 'caddy'), caddy)
  await judged(
    'envoy',
    (t) => newestProxy(t, 'envoy'),
    (folder) => ['--mode', 'validate', '-c', join(folder, 'envoy/envoy.yaml')],
  )
  await judged('haproxy', (t) => program(t, 'haproxy'), (folder) => {
    const file = join(folder, 'haproxy/haproxy.cfg')
    const lua = join(folder, 'haproxy/gatehouse.lua')
    writeFileSync(file, replaced(file, { '/etc/haproxy/gatehouse.lua': [1, lua] }))
    return ['-c', '-f', file]
  })
})

interface Dynamic {
  readonly http: { readonly services: object }
}

t.test('traefik starts with its generated files', async (t) => {
  const traefik = newestProxy(t, 'traefik')
  if (traefik === undefined) return
  const { certificate, key } = identityFiles(t)
  const folder = home(t)
  init(t, folder, ...SITE, '--proxy', 'traefik', '--certificate', certificate, '--certificate-key', key)
  const [port] = await freePorts(1)
  const file = join(folder, 'traefik/traefik-static.yml')
  writeFileSync(
    file,
    replaced(file, {
      'address: ":8443"': [1, `address: "127.0.0.1:${port}"`],
      '/etc/traefik/traefik.yml': [1, join(folder, 'traefik/traefik.yml')],
    }),
  )
  const { output } = await run(t, traefik, [`--configFile=${file}`], { host: '127.0.0.1', port: port ?? 0 })
  t.notMatch(output(), /\b(WRN|ERR)\b/)
  const dynamic = parse(readFileSync(join(folder, 'traefik/traefik.yml'), 'utf8')) as Dynamic
  const names = Object.keys(dynamic.http.services)
  t.strictSame(names, ['application-1', 'application-2', 'gatehouse'])
})

/** The numbered steps of README's quick start with their commands. */
function quickStart(): { readonly number: number, readonly commands: string[] }[] {
  const readme = readFileSync('README.md', 'utf8')
  const [, text = ''] = /## Quick start with a real tenant\n([\s\S]*?)\n## /.exec(readme) ?? []
  return text.split(/^(?=\*\*\d+\. )/m).slice(1).map((step) => ({
    number: Number(/\d+/.exec(step)?.[0]),
    commands: [...step.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) => block.trim().split('\n')),
  }))
}

t.test('the steps of README, at most six, lead to a sign-in behind nginx', async (t) => {
  const steps = quickStart()
  t.strictSame(steps.map(({ number }) => number), [1, 2, 3, 4, 5, 6])
  const commands = steps.flatMap((step) => step.commands)
  const nginx = program(t, 'nginx')
  const address = await loopbackAddress()
  if (nginx === undefined) return
  if (address === undefined) return skip(t, 'port 443 of a loopback address may not be bound')
  if (await isTaken(4180) || await isTaken(4181)) return skip(t, 'another program listens on port 4180 or 4181')
  const place = home(t)
  const tls = identityFiles(t)
  const { received, port } = await startUpstream(t)
  const directory = createDirectory(DEMO_TENANT_ID)
  seedDemoDirectory(directory)

  // Step 2. What differs: the tenant, the certificate's place, the database, and the folder.
  const written = join(place, 'config')
  const initialise = (commands.find((command) => command.startsWith('gatehouse init')) ?? '').split(' ').slice(2)
  t.ok(initialise.includes(TENANT))
  init(
    t,
    written,
    ...initialise.map((word) => word === TENANT ? DEMO_TENANT_ID : word),
    '--certificate',
    tls.certificate,
    '--certificate-key',
    tls.key,
    '--database',
    await freshDatabase(t),
  )

  // Step 3. In place of the tenant: a simulated one that has exactly the registration of the manifest.
  const manifest = JSON.parse(readFileSync(join(written, 'app-registration.json'), 'utf8')) as {
    web: { redirectUris: string[], logoutUrl: string }
    optionalClaims: { idToken: { name: OptionalClaim }[] }
  }
  const entra = await startEntra({
    directory,
    app: registration('https://auth.example.com', {
      redirectUris: manifest.web.redirectUris,
      frontChannelLogoutUrl: manifest.web.logoutUrl,
      optionalClaims: manifest.optionalClaims.idToken.map(({ name }) => name),
    }),
  })
  t.teardown(() => entra.close())
  mkdirSync(join(place, 'bin'))
  writeFileSync(
    join(place, 'bin/az'),
    `#!/bin/sh
case "$*" in
  'account show'*) echo ${DEMO_TENANT_ID} ;;
  'rest --method POST'*) echo ${DEMO_CLIENT_ID} ;;
  'ad app credential reset'*) echo '${CLIENT_SECRET}' ;;
esac
`,
    { mode: 0o755 },
  )
  t.ok(commands.includes('sh config/app-registration.sh'))
  const registered = spawnSync('sh', ['config/app-registration.sh'], {
    cwd: place,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${join(place, 'bin')}:${process.env.PATH}` },
  })
  t.equal(registered.status, 0, registered.stderr)
  const file = join(written, 'gatehouse.yaml')
  writeFileSync(
    file,
    replaced(file, {
      '\nentra:\n': [1, `\nentra:\n  authorityHost: ${entra.url}\n  graphUrl: ${entra.graphUrl}\n  allowHttp: true\n`],
    }),
  )

  // Step 4.
  const conf = join(written, 'nginx/gatehouse.conf')
  writeFileSync(
    conf,
    replaced(conf, {
      'listen 443 ssl': [3, `listen ${address}:443 ssl`],
      'http://127.0.0.1:8080': [1, `http://127.0.0.1:${port}`],
    }),
  )
  for (const from of ['config/nginx/gatehouse', 'config/nginx/gatehouse.conf']) {
    t.ok(commands.some((command) => command.includes(` ${from} `)), from)
  }
  const proxy = nginxHome(t, written)
  await run(t, nginx, ['-p', proxy, '-c', join(proxy, 'nginx.conf'), '-e', 'stderr'], { host: address, port: 443 })

  // Step 5. The commands are as README has them, in the folder above config.
  const gatehouse = (command: string) => [join(process.cwd(), 'dist/cli.js'), ...command.split(' ').slice(1)]
  t.strictSame(steps[4]?.commands, ['gatehouse check', 'gatehouse doctor', 'gatehouse serve'])
  const started = { cwd: place, encoding: 'utf8', env: { ...process.env, GATEHOUSE_CONFIG: undefined } } as const
  const checked = spawnSync(process.execPath, gatehouse('gatehouse check'), started)
  t.equal(checked.status, 0, `${checked.stdout}${checked.stderr}`)
  await new Promise<void>((resolve) => { // not spawnSync: the simulated Entra ID is in this process
    let shown = ''
    const child = spawn(process.execPath, gatehouse('gatehouse doctor'), { cwd: place, env: started.env })
    child.stdout.on('data', (chunk: Buffer) => {
      shown += chunk.toString()
    })
    child.once('close', () => {
      const failed = shown.split('\n').filter((line) => line.startsWith('FAIL') && !line.includes('not applied yet'))
      t.strictSame(failed, [], shown)
      resolve()
    })
  })
  await run(t, process.execPath, gatehouse('gatehouse serve'), { port: 4180, cwd: place })

  // Step 6.
  const browser = browserAt(address)
  const answer = await pickPerson(browser, await browser.follow('https://wiki.example.com/'), PERSON_IDS.staff)
  t.equal(answer.status, 200, answer.text)
  t.equal(received.at(-1)?.headers['remote-user'], 'sam.staff@contoso.example')
})

async function isTaken(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(true))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(false)))
  })
}
