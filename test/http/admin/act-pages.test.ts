// The forms of the console that change something, as a browser without JavaScript sends them.
import t from 'tap'
import { ACT_PAGES } from '../../../src/http/admin/pages/all-acts.js'
import { connect, dumpEverything } from '../../helpers/sql.js'
import { PEOPLE, startAdminScene } from './helper.js'
import { formsOf } from './forms.js'

t.test('a session is ended from the list of sessions', async (t) => {
  const { gateway, clients } = await startAdminScene(t)
  const { helpdesk, sam, sue } = clients
  const query = await connect(t, gateway.databaseUrl)
  const { page, send } = formsOf(gateway)
  const { browser: max } = await gateway.signIn(PEOPLE.nobody)
  const [{ id = '' } = {}] = await query<{ id: string }>(
    'select public_id as id from sessions order by created_at desc limit 1',
  )
  const path = `/admin/sessions/${id}/end`
  t.match((await page(helpdesk, '/admin/sessions')).text, `href="${path}"`)
  t.notMatch((await page(sam, '/admin/sessions')).text, '/end"', 'staff cannot end sessions')
  t.equal((await page(sam, path)).status, 403)
  t.equal((await page(sue, '/admin/sessions/ses_none/end')).status, 404)

  const form = await page(helpdesk, path)
  t.equal(form.status, 200)
  const [, button] = /<button class="button primary">([^<]*)</.exec(form.text) ?? []
  t.match(button, /^End this session of \S/)
  const [, token = ''] = /name="_csrf" value="([^"]*)"/.exec(form.text) ?? []
  const fields = { _csrf: token, reason: 'Lost.' }
  const before = await dumpEverything(query)
  for (
    const [status, sent, headers] of [
      [403, { ...fields, _csrf: sue.csrfToken }, {}],
      [403, fields, { 'sec-fetch-site': 'same-site' }],
      [403, fields, { 'sec-fetch-site': 'cross-site' }],
      [400, { _csrf: token }, {}],
      [400, { _csrf: token, reason: ' ' }, {}],
    ] as const
  ) t.equal((await send(helpdesk, path, sent, headers)).status, status)
  t.equal((await send(sam, path, { ...fields, _csrf: sam.csrfToken })).status, 403)
  t.equal(await dumpEverything(query), before, 'nothing has changed')

  const ended = await send(helpdesk, path, fields)
  t.equal(ended.status, 303)
  const location = String(ended.headers['location'])
  t.match(location, /^\/admin\/people\/[\w-]{36}\?done=sessions-end$/)
  t.match((await page(helpdesk, location)).text, '<div class="note info" role="status">The session has ended.</div>')
  t.equal((await gateway.ask('/oauth2/userinfo', { browser: max })).status, 401, 'refused by the gateway')
  t.equal((await send(helpdesk, path, fields)).status, 404, 'it is gone')
})

t.test('every form leads to an act, and has parameters of the act', (t) => {
  for (const { act, asks, within, page: { path, permission, params } } of ACT_PAGES) {
    t.equal(permission, act.permission, path)
    const ofAct = Object.keys(params?.properties ?? {}).filter((name) => !within.includes(name))
    t.strictSame([...ofAct, ...asks], Object.keys(act.params.properties), path)
  }
  t.end()
})

// proves: act-withdraw-confirmed
t.test('the signing keys are rotated on the page System, and withdrawn where the words were typed', async (t) => {
  const { gateway, clients: { sue, helpdesk } } = await startAdminScene(t)
  const { page, send } = formsOf(gateway)
  const query = await connect(t, gateway.databaseUrl)
  const keys = async () =>
    (await query<{ kid: string }>('select kid from signing_keys order by active_at')).map(({ kid }) => kid)
  const [rotate, withdraw] = ['/admin/system/rotate-keys', '/admin/system/withdraw-keys']
  t.match((await page(sue, '/admin/system')).text, `href="${rotate}"`)
  t.notMatch((await page(helpdesk, '/admin/system')).text, rotate)
  t.equal((await page(helpdesk, rotate)).status, 403)
  const [first = ''] = await keys()

  const fields = { _csrf: sue.csrfToken }
  t.match((await send(sue, rotate, fields)).headers, { location: '/admin/system?done=system-rotate-keys' })
  const [, next = ''] = await keys()
  t.equal((await send(sue, rotate, fields)).status, 303)
  t.strictSame(await keys(), [first, next], 'a key that waits to sign is not followed by another')

  for (const confirm of [{}, { confirm: '' }, { confirm: 'withdraw' }]) {
    t.equal((await send(sue, withdraw, { ...fields, ...confirm })).status, 400)
  }
  t.strictSame(await keys(), [first, next])
  t.equal((await send(sue, withdraw, { ...fields, confirm: 'withdraw all keys' })).status, 303)
  const [kid, ...others] = await keys()
  t.strictSame(others, [])
  const rows = await query("select detail from audit_events where action = 'key.rotate' order by id")
  t.match(rows, [
    { detail: { kid: next, now: false, by: { address: '127.0.0.1' } } },
    { detail: { kid, now: true, withdrawn: [first, next] } },
  ])
  t.equal(rows.length, 2, 'where nothing changed there is no row')
})
