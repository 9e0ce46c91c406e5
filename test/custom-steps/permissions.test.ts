// What a custom step may not do: its process has no file, no program and no signal, and never outlives the gateway.
/* eslint-disable no-template-curly-in-string -- code of steps */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createCustomSteps } from '../../src/custom-steps/registry.js'
import { permissionFlags } from '../../src/custom-steps/worker-process.js'

const INPUT = { claims: {}, groupIds: [], plan: { details: {} } } as never

/** A running step, and the lines that it printed. */
async function running(t: Test, source: string, timeoutMs = 5_000) {
  const printed: string[] = []
  const path = join(t.testdir({ 'step.js': source, 'gatehouse.yaml': 'session: {}\n' }), 'step.js')
  const steps = createCustomSteps({
    log: {
      info: ({ line }) => {
        printed.push(line)
      },
    },
    timeoutMs,
  })
  t.teardown(() => steps.close())
  const file = { name: './step.js', path, sha256: createHash('sha256').update(source).digest('hex') }
  await steps.prepare([file])
  return { printed, call: async () => await steps.step(file).run(INPUT) }
}

/** Prints the outcome of each attempt: `done`, or the code of the error. */
const attempts = (statements: Readonly<Record<string, string>>) => `
import * as fs from 'node:fs'
import * as childProcess from 'node:child_process'
import * as threads from 'node:worker_threads'
import * as inspector from 'node:inspector'
import { createRequire } from 'node:module'
import process from 'node:process'
const require = createRequire('/')
const home = ${JSON.stringify(process.cwd())}
const attempts = { ${
  Object.entries(statements).map(([name, statement]) => `${JSON.stringify(name)}: async () => ${statement}`).join(',\n')
} }
export default async () => {
  const outcome = {}
  for (const [name, attempt] of Object.entries(attempts)) {
    outcome[name] = await attempt().then(() => 'done', (error) => error.code ?? error.name)
  }
  console.log(JSON.stringify(outcome))
}`

async function outcomes(
  t: Test,
  statements: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, string>>> {
  const { call, printed } = await running(t, attempts(statements))
  await call()
  while (printed.length === 0) await sleep(10)
  return JSON.parse(printed.join('')) as Readonly<Record<string, string>>
}

// proves: adv-step-files
t.test('a step reads no file: not the environment of the gateway, not the configuration', async (t) => {
  const statements = {
    'its own environment': 'fs.readFileSync("/proc/self/environ")',
    'that of the gateway': 'fs.promises.readFile(`/proc/${process.ppid}/environ`)',
    'the memory of the gateway': 'fs.openSync(`/proc/${process.ppid}/mem`)',
    'the configuration': `fs.readFileSync(${JSON.stringify(join(t.testdirName, 'gatehouse.yaml'))})`,
    'a directory': 'fs.promises.readdir("/")',
    'a stream': 'new Promise((done, fail) => fs.createReadStream("/etc/passwd").on("error", fail).on("data", done))',
    'a blob': 'fs.openAsBlob("/etc/passwd").then((blob) => blob.text())',
    'variables of a file': 'process.loadEnvFile(`${home}/package.json`)',
    'require': 'require(`${home}/package.json`)',
    'import': 'import(`file://${home}/dist/cli.js`)',
    'writing': 'fs.promises.writeFile("/tmp/gatehouse-step-was-here", "")',
    'a report': 'process.report.writeReport("/tmp/gatehouse-step-report.json")',
  }
  for (const [name, outcome] of Object.entries(await outcomes(t, statements))) {
    t.equal(outcome, 'ERR_ACCESS_DENIED', name)
  }
  const database = 'import("node:sqlite").then(({ DatabaseSync }) => new DatabaseSync("/tmp/gatehouse-step.db"))'
  t.match((await outcomes(t, { database })).database, /^ERR_(UNKNOWN_BUILTIN_MODULE|ACCESS_DENIED)$/)
})

// proves: adv-step-programs
t.test('a step starts nothing: no psql, no shell, no thread, no native code, no debugger', async (t) => {
  const statements = {
    'psql': 'childProcess.execFileSync("psql", ["-l"])',
    'a shell': 'new Promise((done, fail) => childProcess.exec("id", (error) => error ? fail(error) : done()))',
    'a Node': 'childProcess.fork("/tmp/step.js")',
    'a thread': 'new threads.Worker("1", { eval: true })',
    'a debugger': 'inspector.open(0)',
    'a debugger session': 'new inspector.Session().connect()',
    'WebAssembly with the file system':
      'import("node:wasi").then(({ WASI }) => new WASI({ version: "preview1", preopens: { "/": "/" } }))',
  }
  for (const [name, outcome] of Object.entries(await outcomes(t, statements))) {
    t.equal(outcome, 'ERR_ACCESS_DENIED', name)
  }
})

// proves: adv-step-signals
t.test('a step sends no signal: one of them would open the debugger of the gateway', async (t) => {
  const statements = {
    'kill': 'process.kill(process.ppid, 0)',
    'the function below it': 'process._kill(process.ppid, 0)',
    "the debugger's signal": 'process._debugProcess(process.ppid)',
    'an imported kill':
      'import("node:process").then((module) => (module.kill ?? module.default.kill)(process.ppid, 0))',
    'a binding': 'process.binding("process_wrap").length',
    'native code': 'process.dlopen({}, "/x.node")',
  }
  for (const [name, outcome] of Object.entries(await outcomes(t, statements))) t.equal(outcome, 'TypeError', name)
})

// proves: adv-step-environment
t.test('the environment is empty, and the network is open', async (t) => {
  const server = createServer((_request, response) => response.end('directory')).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const { call, printed } = await running(
    t,
    `export default async () => {
    const text = await fetch(${JSON.stringify(url)}).then((answer) => answer.text())
    console.log(JSON.stringify({ text, env: Object.keys(process.env) }))
  }`,
  )
  await call()
  while (printed.length === 0) await sleep(10)
  t.strictSame(JSON.parse(printed.join('')), { text: 'directory', env: [] })
})

// proves: adv-step-output
t.test('invalid output of a step fails only its own login and uses bounded memory', async (t) => {
  const lines: Readonly<Record<string, string>> = {
    'no JSON': '"nonsense\\n"',
    'no object': '"7\\n"',
    'an endless line': '"x".repeat(200_000)',
    'the result of another call': 'JSON.stringify({ kind: "result", id: 77 }) + "\\n"',
  }
  for (const [name, line] of Object.entries(lines)) {
    const detail = name.startsWith('the result') ? /took longer/ : /ended its process/
    const { call } = await running(
      t,
      `import { writeSync } from 'node:fs'
      export default () => { try { writeSync(3, ${line}) } catch {} return new Promise(() => {}) }`,
      1_000,
    )
    await t.rejects(call(), { code: 'step_failed', message: detail }, name)
    await t.rejects(call(), { code: 'step_failed' }, `${name}: the next login starts a new process`)
  }
})

// proves: adv-step-sqlite
t.test('the flags of the permission model depend on the Node.js version; without it no step runs', async (t) => {
  t.strictSame(permissionFlags(new Set(['--experimental-permission'])), ['--experimental-permission'], 'Node 20')
  const sqlite = ['--permission', '--no-experimental-sqlite']
  t.strictSame(
    permissionFlags(new Set(['--experimental-permission', '--permission', '--experimental-sqlite'])),
    sqlite,
    'Node 22 and 24',
  )
  t.strictSame(permissionFlags(new Set(['--permission', '--allow-net'])), ['--permission', '--allow-net'], 'Node 25')
  t.equal(permissionFlags(new Set()), undefined)
})

// proves: adv-step-ends
t.test('a step does not outlive a gateway that is killed', async (t) => {
  const cases = { waits: 'return new Promise(() => {})', loops: 'for (;;) {}' }
  for (const [name, statement] of Object.entries(cases)) {
    const source = `export default () => { console.error(process.pid); setTimeout(() => {}, 1e9); ${statement} }`
    const path = join(t.testdir({ 'step.js': source }), 'step.js')
    const file = { name: './step.js', path, sha256: createHash('sha256').update(source).digest('hex') }
    const program = `
      import { createCustomSteps } from ${JSON.stringify(join(process.cwd(), 'dist/custom-steps/registry.js'))}
      const steps = createCustomSteps({ log: { info: ({ line }) => console.log(line) }, timeoutMs: 600_000 })
      const file = ${JSON.stringify(file)}
      await steps.prepare([file])
      await steps.step(file).run(${JSON.stringify(INPUT)})`
    const gateway = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const pid = await new Promise<number>((resolve) =>
      gateway.stdout.once('data', (text: Buffer) => resolve(Number(text)))
    )
    t.ok(runs(pid), `it ${name}`)
    gateway.kill('SIGKILL')
    for (let tries = 0; tries < 500 && runs(pid); tries++) await sleep(20)
    const survived = runs(pid)
    if (survived) process.kill(pid, 'SIGKILL')
    t.notOk(survived, `one that ${name} has ended`)
  }
})

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
