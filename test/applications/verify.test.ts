// The programs of docs/assertion.md and docs/applications/node.md, run as they stand there.
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { PERSON_IDS } from '../../src/demo/people.js'
import { freePorts, startTestGateway } from '../helpers/gateway.js'
import { program, run } from '../helpers/programs.js'

const execute = promisify(execFile)
const home = mkdtempSync(join(tmpdir(), 'gatehouse-verify-'))
t.teardown(() => rmSync(home, { recursive: true, force: true }))
mkdirSync(join(home, 'node_modules'))
symlinkSync(process.cwd(), join(home, 'node_modules/gatehouse'))
for (const document of ['docs/assertion.md', 'docs/applications/node.md']) {
  for (const [, name = '', text = ''] of readFileSync(document, 'utf8').matchAll(/```\w+ file=(\S+)\n([\s\S]*?)```/g)) {
    writeFileSync(join(home, name), text)
  }
}
writeFileSync(join(home, 'package.json'), '{ "type": "module" }')

t.test('who a program believes', async (t) => {
  const gateway = await startTestGateway(t)
  const { browser } = await gateway.signIn(PERSON_IDS.staff)
  const assertionFor = async (host: string) =>
    (await gateway.ask('/oauth2/auth', {
      browser,
      headers: { 'x-original-url': `https://${host}/`, 'x-original-method': 'GET' },
    })).headers.get('x-gatehouse-assertion') ?? ''
  const [good, foreign] = [await assertionFor('wiki.test'), await assertionFor('other.test')]
  const forged = `${good.slice(0, -8)}AAAAAAAA`

  await t.test('the Node application of the guide', async (t) => {
    const [port = 0] = await freePorts(1)
    await run(t, process.execPath, ['app.js'], {
      cwd: home,
      port,
      env: { ISSUER: gateway.url, AUDIENCE: 'wiki.test', PORT: String(port) },
    })
    const ask = async (path: string, assertion?: string) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
        headers: assertion === undefined ? {} : { 'x-gatehouse-assertion': assertion, 'remote-user': 'root' },
      })
      return { status: answer.status, body: await answer.json() as object }
    }
    t.match(await ask('/', good), {
      status: 200,
      body: { name: 'Sam Staff', groups: ['Network Engineers'], mayEdit: false },
    })
    t.match(await ask('/settings', good), { status: 200 })
    t.strictSame(await ask('/', foreign), { status: 401, body: { error: 'invalid' } })
    t.strictSame(await ask('/', forged), { status: 401, body: { error: 'invalid' } })
    t.strictSame(await ask('/', ''), { status: 401, body: { error: 'missing' } })
    t.strictSame(await ask('/'), { status: 401, body: { error: 'missing' } })
    await t.rejects(
      execute(process.execPath, ['app.js'], {
        cwd: home,
        env: { ...process.env, ISSUER: gateway.url, AUDIENCE: '', PORT: '0' },
      }),
      /needs `audience`/,
    )
  })

  await t.test('PyJWT', async (t) => {
    const python = program(t, 'python3')
    if (python === undefined) return
    const usable = await Promise.any([python, '/usr/bin/python3'].map(async (each) => {
      await execute(each, ['-c', 'import jwt, cryptography'])
      return each
    })).catch(() => undefined)
    if (usable === undefined) {
      return process.env.GATEHOUSE_TEST_REQUIRE_ALL
        ? t.fail('PyJWT is not installed, and nothing may be skipped here')
        : t.plan(0, 'PyJWT is not installed')
    }
    const whois = (assertion: string) =>
      new Promise<string>((resolve) => {
        const child = execFile(usable, [join(home, 'whois.py'), gateway.url, 'wiki.test'], (error, stdout) =>
          resolve(error ? 'refused' : stdout.trim()))
        child.stdin?.end(assertion)
      })
    t.equal(await whois(good), 'sam.staff@contoso.example')
    for (const bad of [foreign, forged, '']) t.equal(await whois(bad), 'refused')
  })

  await t.test('the shell', async (t) => {
    if (program(t, 'jose') === undefined || program(t, 'jq') === undefined) return
    const whois = async (assertion: string) => {
      writeFileSync(join(home, 'assertion'), assertion)
      return await execute('sh', [join(home, 'whois.sh')], {
        env: { ...process.env, ISSUER: gateway.url, AUDIENCE: 'wiki.test', ASSERTION: join(home, 'assertion') },
      }).then(({ stdout }) => (JSON.parse(stdout) as { username: string }).username, () => 'refused')
    }
    t.equal(await whois(good), 'sam.staff@contoso.example')
    for (const bad of [foreign, forged, '']) t.equal(await whois(bad), 'refused')
  })
})
