// `gatehouse serve` on its embedded PostgreSQL, as `npm start` runs it: however it ends, the database's server ends
// with it, the data stays, and nothing is left in the temporary directory.
import { spawn, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID } from '../src/demo/people.js'
import { ENCRYPTION_SECRET, SESSION_SECRET } from './helpers/gateway.js'
import { kill, referringTo } from './helpers/leftovers.js'
import { program, skip } from './helpers/programs.js'
import { until } from './helpers/until.js'

const COMMAND = 'npm start --'
const NOBODY_LISTENS = 'http://127.0.0.1:1'

interface Place {
  readonly base: string
  readonly file: string
  readonly data: string
  readonly temporary: string
}
interface Serving {
  readonly child: ChildProcess
  readonly output: () => string
  readonly ended: Promise<number | null>
}

function makePlace(t: Test): Place {
  const base = mkdtempSync(join(realpathSync(tmpdir()), 'serve-ends-'))
  t.teardown(() => {
    for (const { pid } of referringTo(base)) kill(pid, 'SIGKILL')
    rmSync(base, { recursive: true, force: true, maxRetries: 10 })
  })
  chmodSync(base, 0o711) // started by root the server runs as another user, who must get through
  const [file, data, temporary] = [join(base, 'gatehouse.yaml'), join(base, 'data'), join(base, 't')]
  mkdirSync(temporary)
  chmodSync(temporary, 0o1777)
  writeFileSync(
    file,
    stringify({
      server: { publicUrl: 'http://127.0.0.1:4180', host: '127.0.0.1', port: 0, management: { port: 0 } },
      entra: {
        tenantId: DEMO_TENANT_ID,
        clientId: DEMO_CLIENT_ID,
        clientSecret: 'x~yz',
        authorityHost: NOBODY_LISTENS,
        graphUrl: NOBODY_LISTENS,
        allowHttp: true,
      },
      database: { embedded: true, dataDir: data },
      session: { secrets: [SESSION_SECRET] },
      keys: { encryptionSecrets: [ENCRYPTION_SECRET] },
    }),
  )
  return { base, file, data, temporary }
}

function serve({ file, temporary }: Place, atTerminal: boolean): Serving {
  const command = `${COMMAND} --config ${file}`
  const args = atTerminal
    ? ['script', '-q', '-e', '-c', `${command}; exit $?`, '/dev/null']
    : ['sh', '-c', `exec ${command}`]
  const [name = '', ...rest] = args
  const child = spawn(name, rest, { env: { ...process.env, TMPDIR: temporary, SHELL: '/bin/sh' } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (part: Buffer) => {
      output += part.toString()
    })
  }
  return { child, output: () => output, ended: new Promise((resolve) => child.once('close', resolve)) }
}

async function startsAndEnds(
  t: Test,
  atTerminal: boolean,
  end: (serving: Serving, gateway: number) => void,
): Promise<void> {
  if (process.platform !== 'linux') return skip(t, 'processes are looked up in /proc, which only Linux has')
  if (atTerminal && !program(t, 'script')) return
  const place = makePlace(t)
  const serving = serve(place, atTerminal)
  const state = { ended: false }
  serving.ended.then(() => {
    state.ended = true
  }, () => {})
  await until(() => state.ended || serving.output().includes('configuration in force'), Infinity)
  const find = (words: string): number | undefined =>
    referringTo(place.base).find((each) => each.command.includes(words))?.pid
  const gateway = find('node dist/cli.js serve')
  if (!t.ok(gateway, `it runs:\n${serving.output()}`)) return
  t.ok(find('postgres -D'), 'on its own PostgreSQL')
  end(serving, gateway ?? 0)
  await until(() => referringTo(place.base).length === 0)
  t.same(referringTo(place.base), [], 'no process is left')
  await until(() => readdirSync(place.temporary).length === 0)
  t.same(readdirSync(place.temporary), [], 'no folder is left')
  t.ok(existsSync(join(place.data, 'postgres', 'PG_VERSION')), 'the data stays')
  t.notOk(existsSync(join(place.data, 'postgres', 'postmaster.pid')), 'the server ended in good order')
}

t.test('Ctrl-C stops the gateway', async (t) => {
  await startsAndEnds(t, true, ({ child }) => {
    child.stdin?.write('\x03')
  })
})

// proves: adv-serve-closed-terminal
t.test('a closed terminal stops the gateway', async (t) => {
  await startsAndEnds(t, true, ({ child }) => {
    child.kill('SIGKILL')
  })
})

t.test('SIGTERM to npm stops the gateway', async (t) => {
  await startsAndEnds(t, false, ({ child }) => {
    child.kill('SIGTERM')
  })
})

t.test("kill -9 stops the gateway's PostgreSQL as well", async (t) => {
  await startsAndEnds(t, false, (_, gateway) => {
    kill(gateway, 'SIGKILL')
  })
})
