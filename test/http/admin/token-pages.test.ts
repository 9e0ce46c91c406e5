// The page of programs and the forms of API tokens, as a browser without JavaScript sends them: a token is shown once.
import t from 'tap'
import { connect, dumpEverything } from '../../helpers/sql.js'
import { startAdminScene } from './helper.js'
import { formsOf } from './forms.js'
import { askWith } from './token-client.js'

// proves: token-shown-once
t.test('a token is made and shown once, and revoked', async (t) => {
  const { gateway, clients: { sue, sam } } = await startAdminScene(t)
  const query = await connect(t, gateway.databaseUrl)
  const { page, send } = formsOf(gateway)
  const path = '/admin/programs/add'
  t.match((await page(sue, '/admin/programs')).text, `href="${path}"`)
  const seen = await page(sam, '/admin/programs')
  t.equal(seen.status, 200)
  t.notMatch(seen.text, path, 'staff cannot make tokens')
  t.equal((await page(sam, path)).status, 403)

  const form = await page(sue, path)
  t.match(form.text, 'name="gatehouse.sessions" value="yes"')
  const hidden = (name: string, { text }: { readonly text: string } = form) =>
    new RegExp(`name="${name}" value="([^"]*)"`).exec(text)?.[1] ?? ''
  const fields = {
    '_csrf': hidden('_csrf'),
    'name': 'Nightly report',
    'days': '30',
    'requestId': hidden('requestId'),
    'gatehouse.sessions': 'yes',
  }
  const { 'gatehouse.sessions': _, ...without } = fields
  const before = await dumpEverything(query)
  for (
    const [status, sent] of [[400, without], [400, { ...fields, days: '366' }], [400, {
      ...fields,
      name: ' ',
    }]] as const
  ) {
    const again = await send(sue, path, sent)
    t.equal(again.status, status, JSON.stringify(sent))
    t.equal(hidden('requestId', again), fields.requestId, 'the form is shown again, and is the same one')
  }
  t.equal(await dumpEverything(query), before, 'nothing has changed')

  await query("update admin_sessions set authenticated_at = now() - interval '1 hour'")
  const stale = await send(sue, path, fields)
  t.equal(stale.status, 403)
  await query('update admin_sessions set authenticated_at = now()')
  const [, kept = ''] = /rd=([^"&]*)/.exec(stale.text) ?? []
  const filled = await page(sue, decodeURIComponent(kept))
  t.equal(hidden('requestId', filled), fields.requestId)
  t.match(filled.text, /name="gatehouse.sessions" value="yes" checked/)
  t.match(filled.text, /name="gatehouse.people" value="yes">/)

  const made = await send(sue, path, fields)
  t.equal(made.status, 200, 'no redirect: the token is in no address')
  t.match(made.headers['cache-control'], 'no-store')
  const [token = ''] = /gha_[0-9A-Za-z]{49}/.exec(made.text) ?? []
  t.match((await askWith(gateway.url, token, '/me')).json, { permissions: ['gatehouse.read', 'gatehouse.sessions'] })
  const repeated = await send(sue, path, fields)
  t.equal(repeated.status, 409, 'the page is loaded again: no second token, and the first is not shown')
  t.notMatch(repeated.text, /gha_[0-9A-Za-z]{49}/)
  t.equal((await query('select 1 from tokens')).length, 1)
  t.notMatch((await page(sue, path)).text, token)
  t.notOk(JSON.stringify(gateway.log).includes(token.slice(4)), 'it is not in the log')

  const list = await page(sue, '/admin/programs')
  t.match(list.text, 'Nightly report')
  t.notMatch(list.text, token)
  const [{ id = '' } = {}] = await query<{ id: string }>('select id from tokens')
  const revoke = `/admin/programs/${id}/revoke`
  t.match(list.text, `href="${revoke}"`)
  t.match((await page(sue, revoke)).text, 'Revoke the API token Nightly report')
  t.equal((await page(sue, '/admin/programs/tok_none/revoke')).status, 404)
  const revoked = await send(sue, revoke, { _csrf: fields._csrf, reason: 'Not used any more.' })
  t.equal(revoked.status, 303)
  t.equal(revoked.headers['location'], '/admin/programs?done=programs-revoke')
  t.equal((await askWith(gateway.url, token, '/me')).status, 401)
})
