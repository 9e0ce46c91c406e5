// The forms that change local groups, as a browser without JavaScript sends them, and the file of all groups.
import t, { type Test } from 'tap'
import { connect, dumpEverything } from '../../helpers/sql.js'
import { HELPDESK, startAdminScene } from './helper.js'
import { formsOf, hiddenOf } from './forms.js'

async function scene(t: Test) {
  const { gateway, clients } = await startAdminScene(t)
  const query = await connect(t, gateway.databaseUrl)
  const { page, send, fill } = formsOf(gateway)
  const groups = async () => {
    const { json } = await clients.sue.ask('/groups/export')
    return json?.['groups'] as readonly { name: string, description: string, permissions: readonly string[] }[]
  }
  return { ...clients, query, page, send, fill, groups }
}

t.test('a group is added, described, given a permission, and removed', async (t) => {
  const { sue, sam, page, fill, groups } = await scene(t)
  t.match((await page(sue, '/admin/groups')).text, 'href="/admin/add-group"')
  t.notMatch((await page(sam, '/admin/groups')).text, 'href="/admin/add-group"', 'staff cannot add groups')
  t.equal((await page(sam, '/admin/add-group')).status, 403)
  t.match((await page(sue, '/admin/add-group?name=%3Cb%3E')).text, 'value="&#60;b&#62;"', 'filled in by a link')

  const name = 'Wiki/Editors & "Friends"'
  const at = `/admin/groups/${encodeURIComponent(name)}`
  const added = await fill(sue, '/admin/add-group', { name, description: 'one\r\ntwo' })
  t.match(added, { status: 303, location: `${at}?done=add-group` })
  t.match((await page(sue, `${at}?done=add-group`)).text, 'The group is added.')
  const again = await fill(sue, '/admin/add-group', { name, description: '' })
  t.match(again, { status: 409, text: /exists already/ }, 'the form is shown again')
  t.match(again.text, 'name="name"')

  t.equal((await fill(sue, `${at}/grant`, { word: 'wiki' })).status, 400)
  const granted = await fill(sue, `${at}/grant`, { word: 'wiki.edit' })
  t.match(granted, { status: 303, location: `${at}?done=groups-grant` })
  t.match((await groups()).find((group) => group.name === name), {
    description: 'one\ntwo',
    permissions: ['wiki.edit'],
  })
  t.match((await page(sue, at)).text, `href="${at}/permissions/wiki.edit/revoke"`)
  t.notMatch((await page(sam, at)).text, '/revoke"')

  const changed = await fill(sue, `${at}/change`, { to: 'Editors', description: '' })
  t.match(changed, { status: 303, location: '/admin/groups/Editors?done=groups-change' })
  t.match((await groups()).find((group) => group.name === 'Editors'), { description: '', permissions: ['wiki.edit'] })
  t.equal((await page(sue, `${at}/change`)).status, 404, 'the old name is gone')

  const revoke = '/admin/groups/Editors/permissions/wiki.edit/revoke'
  t.match((await page(sue, revoke)).text, 'Take wiki.edit from Editors; 0 people lose it</button>')
  t.equal((await fill(sue, revoke, {})).status, 400, 'a reason is needed')
  t.equal((await fill(sue, revoke, { reason: 'Not used.' })).status, 303)
  const removed = await fill(sue, '/admin/groups/Editors/remove', { reason: 'Not used.' })
  t.match(removed, { status: 303, location: '/admin/groups?done=groups-remove' })
  t.notOk((await groups()).some((group) => group.name === 'Editors'))
})

t.test('a group that the mapping names is removed after its name was typed', async (t) => {
  const { sue, page, fill, query, groups } = await scene(t)
  const path = `/admin/groups/${HELPDESK}/remove`
  const form = await page(sue, path)
  t.match(form.text, `Remove ${HELPDESK}; 1 person loses it</button>`)
  t.match(form.text, 'name="confirm"')
  const before = await dumpEverything(query)
  for (const confirm of ['', 'helpdesk']) {
    t.match(await fill(sue, path, { reason: 'Gone.', confirm }), {
      status: 400,
      text: /What was typed is not what the form asks for/,
    })
  }
  t.equal(await dumpEverything(query), before)
  t.equal((await fill(sue, path, { reason: 'Gone.', confirm: HELPDESK })).status, 303)
  t.notOk((await groups()).some(({ name }) => name === HELPDESK))

  const missing = await page(sue, `/admin/groups/${HELPDESK}`)
  t.match(missing.text, `href="/admin/add-group?name=${HELPDESK}"`, 'it can be added again')
  t.equal((await page(sue, path)).status, 404)
})

// proves: act-groups-previewed
t.test('a file is looked at before it is applied, as it was looked at', async (t) => {
  const { sue, query, page, fill, send, groups } = await scene(t)
  const path = '/admin/import-groups'
  t.notMatch((await page(sue, path)).text, 'name="reason"')
  const before = await dumpEverything(query)
  const wrong = await fill(sue, path, { yaml: 'groups:\r\n  - nam: <b>' })
  t.match(wrong, { status: 400, text: /groups\.yaml:2:5[^<]* must have the key name/ })
  t.match(wrong.text, '- nam: &#60;b&#62;</textarea>', 'what was entered is kept')
  t.match(await fill(sue, path, { yaml: 'groups: []' }), { status: 200, text: /Nothing to change/ })

  const yaml = `groups:\r\n  - name: Wiki\r\n    permissions: [wiki.edit]\r\n    description: ${'x'.repeat(70_000)}\r\n`
  const looked = await fill(sue, path, { yaml })
  t.match(looked, { status: 200, text: /Nothing was changed yet/ })
  t.match(looked.text, 'Apply 2 changes</button>')
  t.equal(await dumpEverything(query), before, 'looking changes nothing')
  const seen = hiddenOf(looked.text)
  const other = yaml.replace('wiki.edit', 'wiki.admin')
  const changed = await send(sue, path, { ...seen, yaml: other, reason: 'New.' })
  t.match(changed, { status: 200, text: /wiki\.admin/ }, 'another file is shown first')
  t.equal((await send(sue, path, { ...seen, yaml })).status, 400, 'a reason is needed')
  t.equal(await dumpEverything(query), before)

  t.match(await send(sue, path, { ...seen, yaml, reason: 'New.' }), {
    status: 303,
    location: '/admin/groups?done=import-groups',
  })
  t.match((await groups()).find(({ name }) => name === 'Wiki'), { permissions: ['wiki.edit'] })
  t.match(await send(sue, path, { ...seen, yaml, reason: 'New.' }), { status: 200, text: /Nothing to change/ })
})

// proves: admin-groups-file-permission
t.test('the file of all groups', async (t) => {
  const { sue, sam, nobody, page } = await scene(t)
  const file = await page(sam, '/admin/groups.yaml')
  t.equal(file.status, 200)
  t.match(file.headers.get('content-type'), 'application/yaml')
  t.match(file.headers.get('content-disposition'), 'filename="groups.yaml"')
  t.match(file.text, `  - name: ${HELPDESK}\n    permissions:\n      - gatehouse.sessions\n`)
  t.equal((await sue.ask('/groups/export')).json?.['yaml'], file.text)
  t.not((await page(nobody, '/admin/groups.yaml')).status, 200)
})

// proves: act-group-change-something
t.test('PATCH needs a name or a description, and DELETE may be forced', async (t) => {
  const { sue, query } = await scene(t)
  const ask = async (method: string, path: string, body?: unknown) => {
    const { headers: { etag = '' } } = await sue.ask('/groups/Read%20Only')
    const headers = { 'sec-fetch-site': 'same-origin', 'x-csrf-token': sue.csrfToken, 'if-match': String(etag) }
    const { status, json } = await sue.ask(path, { method, headers, ...body === undefined ? {} : { body } })
    return { status, json }
  }
  const path = '/groups/Read%20Only'
  const before = await dumpEverything(query)
  t.match(await ask('PATCH', path, {}), { status: 400, json: { code: 'request_malformed' } })
  t.match(await ask('DELETE', `${path}?reason=x`), { status: 409, json: { code: 'group_mapped', detail: /row 5/ } })
  t.match(await ask('DELETE', `${path}?reason=x&force=false`), { status: 409 })
  t.match(await ask('DELETE', `${path}?reason=x&force=1`), { status: 400 })
  t.equal(await dumpEverything(query), before)
  const changed = await ask('PATCH', path, { description: '' })
  t.strictSame(changed.json, { name: 'Read Only', changed: false, mappingRows: [5], rules: [] })
  t.match(await ask('DELETE', `${path}?reason=x&force=true`), { status: 200, json: { removed: 'Read Only' } })
})
