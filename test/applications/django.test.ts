// The guide docs/applications/django.md as it stands, its files and its commands, behind real nginx: Django knows the
// person, the flags and the groups, and nobody else's word counts.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import t, { type Test } from 'tap'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import { createBrowser, type Browser } from '../helpers/browser.js'
import { freePorts, pickPerson, startTestGateway } from '../helpers/gateway.js'
import { run } from '../helpers/programs.js'
import { startNginx } from '../helpers/proxies.js'
import { pythonWith } from '../helpers/python.js'
import { until } from '../helpers/until.js'

const GUIDE = readFileSync('docs/applications/django.md', 'utf8')
const FORGED = {
  'Remote-User': 'forged',
  'Remote_User': 'forged',
  'REMOTE-USER': 'forged',
  'Remote-Groups': 'forged',
  'remote_groups': 'forged',
  'X-Auth-Request-Staff': 'true',
  'X-Auth-Request-Superuser': 'true',
  'X_Auth_Request_Superuser': 'true',
  'X-AUTH_REQUEST-STAFF': 'true',
}
const SUPERUSER = { username: 'sue.super@contoso.example', staff: true, superuser: true, groups: ['NetBox Superusers'] }
const GUEST = { username: 'gus.guest@fabrikam.example', staff: false, superuser: false, groups: ['Read Only'] }

t.test('the guide for Django', async (t) => {
  const python = pythonWith(t, 'django')
  if (python === undefined) return
  const [appPort = 0, authPort = 0, django = 0] = await freePorts(3)
  await startDjango(t, python, django)
  const site = await startTestGateway(t, { demoFile: { publicUrl: `http://127.0.0.1:${authPort}` } })
  const listening = (site.gateway.app.server.address() as { port: number }).port
  if (
    !await startNginx(t, {
      app: `127.0.0.1:${appPort}`,
      auth: `127.0.0.1:${authPort}`,
      gateway: `127.0.0.1:${listening}`,
      upstream: `127.0.0.1:${django}`,
    })
  ) return
  const app = `http://127.0.0.1:${appPort}/`
  const signIn = async (person: string, browser = createBrowser()) => ({
    browser,
    answer: await pickPerson(browser, await browser.follow(app), person),
  })

  await t.test('anonymous: a program gets 401, a browser is sent to sign in, also with a forged name', async (t) => {
    for (const headers of [{}, FORGED]) {
      t.equal((await createBrowser().ask(app, { headers: { ...headers, accept: 'application/json' } })).status, 401)
      const sent = await createBrowser().ask(app, { headers })
      t.equal(sent.status, 302)
      t.ok(sent.location?.startsWith(`${site.url}/oauth2/start?rd=`))
    }
  })

  await t.test('a superuser is one in Django too', async (t) => {
    const { browser, answer } = await signIn(PERSON_IDS.superuser)
    t.equal(answer.status, 200)
    t.strictSame(JSON.parse(answer.text), SUPERUSER)
    t.strictSame(await who(browser, app), SUPERUSER, "and on the next request, which brings Django's own session")
    t.ok(browser.cookies.get('127.0.0.1')?.has('sessionid'))
  })

  await t.test('an ordinary person is not, and forged headers change neither name nor rights', async (t) => {
    const { browser, answer } = await signIn(PERSON_IDS.guest)
    t.strictSame(JSON.parse(answer.text), GUEST)
    t.strictSame(await who(browser, app, FORGED), GUEST)
    t.strictSame(await who(browser, app), GUEST)
  })

  await t.test("revoked rights end soon after a sign-in elsewhere, and Django's session continues", async (t) => {
    const { browser } = await signIn(PERSON_IDS.superuser)
    const session = browser.cookies.get('127.0.0.1')?.get('sessionid')
    site.entra.directory.removeMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.superuser)
    site.entra.directory.addMember(GROUP_IDS.networkEngineers, PERSON_IDS.superuser)
    const elsewhere = await signIn(PERSON_IDS.superuser)
    const now = { ...SUPERUSER, superuser: false, groups: ['Network Engineers'] }
    t.strictSame(JSON.parse(elsewhere.answer.text), now)
    // A change reaches the sessions in memory some milliseconds after its commit (docs/revocation.md).
    t.ok(await until(async () => isDeepStrictEqual(await who(browser, app), now)))
    t.strictSame(await who(browser, app), now)
    t.equal(browser.cookies.get('127.0.0.1')?.get('sessionid'), session)
  })

  await t.test("signed out here is signed out there: Django's cookie alone opens nothing", async (t) => {
    const { browser } = await signIn(PERSON_IDS.guest)
    const cookie = `sessionid=${browser.cookies.get('127.0.0.1')?.get('sessionid')}`
    await browser.follow(`${site.url}/oauth2/sign_out?rd=${encodeURIComponent(app)}`)
    t.equal((await createBrowser().ask(app, { headers: { cookie, accept: 'application/json' } })).status, 401)
    t.match(await who(createBrowser(), `http://127.0.0.1:${django}/`, { cookie }), {
      username: null,
      staff: false,
      groups: [],
    }, 'and Django itself ends a session without the header')
  })

  await t.test('what Gatehouse encodes, Django decodes', async (t) => {
    const headers = {
      'remote-user': 'J%C3%BCrgen 100%25',
      'remote-groups': 'B%C3%BCro,Read Only',
      'x-auth-request-staff': 'true',
      'x-auth-request-superuser': 'false',
    }
    const browser = createBrowser()
    for (const time of ['first', 'second']) {
      t.strictSame(await who(browser, `http://127.0.0.1:${django}/`, headers), {
        username: 'Jürgen 100%',
        staff: true,
        superuser: false,
        groups: ['Büro', 'Read Only'],
      }, time)
    }
  })
})

async function who(browser: Browser, url: string, headers: Record<string, string> = {}): Promise<unknown> {
  return JSON.parse((await browser.ask(url, { headers })).text) as unknown
}

/** The guide's files in a folder of their own, and its commands run there. */
async function startDjango(t: Test, python: string, port: number): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-django-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  const files = [...GUIDE.matchAll(/^```python file=(\S+)\n([\s\S]*?)^```$/gm)]
  t.ok(files.length > 3, `${files.length} files`)
  for (const [, name = '', text = ''] of files) {
    mkdirSync(dirname(join(home, name)), { recursive: true })
    writeFileSync(join(home, name), text)
  }
  const [, commands = ''] = /^```sh\n([\s\S]*?)^```$/m.exec(GUIDE) ?? []
  t.match(commands, /^python3 manage\.py runserver 127\.0\.0\.1:8000 /m)
  const script = commands.replace('127.0.0.1:8000', `127.0.0.1:${port}`).replace(
    /^(?=python3 manage\.py runserver )/m,
    'exec ',
  ) // so that the shell's id is the server's
  await run(t, '/bin/sh', ['-ec', script], {
    port,
    cwd: home,
    env: { PATH: `${dirname(python)}${delimiter}${process.env.PATH}`, PYTHONDONTWRITEBYTECODE: '1' },
  })
}
