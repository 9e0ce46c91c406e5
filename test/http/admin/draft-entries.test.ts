// The rows and rules of a draft, as forms that a browser without JavaScript sends.
import t, { type Test } from 'tap'
import { GROUP_IDS } from '../../../src/demo/people.js'
import { connect } from '../../helpers/sql.js'
import { formsOf, hiddenOf } from './forms.js'
import { SCENE_MAPPING, startAdminScene, type ApiClient } from './helper.js'

const TEXT = `# why
groupMapping:
  # operators
  - entraGroup: ${GROUP_IDS.readOnly} # read
    label:  'Old'
    groups:
      - Helpdesk # kept
  - { entraGroup: ${GROUP_IDS.netboxSuperusers}, superuser: true }

access:
  default: deny # else nobody
  rules:
    - { name: One, hosts: [one.test], allow: anyone }
    # two
    - hosts: [two.test]
      allow: { groups: [Helpdesk] } # whom

    - hosts: [three.test]
      allow: deny
`

async function scene(t: Test, config: Record<string, unknown> = {}) {
  const { gateway, clients } = await startAdminScene(t, config)
  const { page, send, fill } = formsOf(gateway)
  const { sue } = clients
  const hidden = async (client: ApiClient, path: string) => hiddenOf((await page(client, path)).text)
  const begin = async (text = TEXT) => {
    const { location } = await send(sue, '/admin/drafts/add', { _csrf: sue.csrfToken, message: '<b>draft</b>' })
    const at = String(location).replace(/\?.*/, '')
    await fill(sue, at, { text })
    return at
  }
  const textOf = async (at: string) => (await page(sue, `${at}/policy.yaml`)).text
  const query = await connect(t, gateway.databaseUrl)
  return { ...clients, gateway, page, send, fill, hidden, begin, textOf, query }
}

const SECOND = SCENE_MAPPING[1]?.entraGroup ?? ''
const ROW = { entraGroup: GROUP_IDS.readOnly, label: 'Old', groups: 'Helpdesk' }

t.test('a row is changed, added and removed, and every other character stays', async (t) => {
  const { sue, page, fill, begin, textOf } = await scene(t)
  const at = await begin()
  const list = (await page(sue, `${at}/rows`)).text
  t.match(list, `href="${at}/rows/1">row 1</a>`)
  t.match(list, /line 4<[^]*Old[^]*Helpdesk[^]*row 2<[^]*superuser/)
  t.match((await page(sue, at)).text, `href="${at}/rows"`)

  const form = (await page(sue, `${at}/rows/1`)).text
  t.match(form, `name="entraGroup" aria-describedby="act-entraGroup-hint" type="text" value="${GROUP_IDS.readOnly}"`)
  const changed = await fill(sue, `${at}/rows/1`, { ...ROW, label: 'New: "it"', groups: 'Helpdesk\r\nB', staff: 'yes' })
  t.match(changed, { status: 303, location: `${at}/rows?done=drafts-rows#row-1` })
  t.match((await page(sue, String(changed.location))).text, 'The row is changed in the draft.')
  const expected = TEXT.replace("'Old'", '\'New: "it"\'')
    .replace('Helpdesk # kept\n', 'Helpdesk # kept\n      - B\n    staff: true\n')
  t.equal(await textOf(at), expected)

  const added = await fill(sue, `${at}/rows/add`, { entraGroup: GROUP_IDS.circuitManagers, groups: 'C' })
  t.match(added, { status: 303, location: `${at}/rows?done=drafts-rows-add#row-3` })
  const row = `  - { entraGroup: ${GROUP_IDS.circuitManagers}, groups: [C] }\n`
  t.equal(await textOf(at), expected.replace('superuser: true }\n', `superuser: true }\n${row}`))

  t.match((await page(sue, `${at}/rows/1/remove`)).text, /# operators\n {2}- entraGroup[^]*Helpdesk # kept/)
  t.match(await fill(sue, `${at}/rows/3/remove`, {}), { status: 303 })
  t.equal(await textOf(at), expected)
  t.equal((await page(sue, `${at}/rows/3`)).status, 404)
  t.equal((await page(sue, `${at}/rows/0`)).status, 404)
})

t.test('rules are changed, added at their place, moved and removed', async (t) => {
  const { sue, page, send, fill, begin, textOf } = await scene(t)
  const at = await begin()
  const list = (await page(sue, `${at}/rules`)).text
  t.match(list, /One[^]*one\.test[^]*anyone[^]*rule 2[^]*two\.test[^]*Helpdesk[^]*rule 3[^]*deny/)
  t.notMatch(list, 'rules/1/move" name="to" value="0"')
  const hidden = hiddenOf(list.replace('<form method="post"', '<form class="act"'))
  t.match(await send(sue, `${at}/rules/3/move`, { ...hidden, to: '2' }), { status: 303, location: /#rule-2$/ })
  const moved = TEXT.replace(/( {4}# two[^]*)(\n\n)( {4}- hosts: \[three[^]*)\n$/, '$3$2$1\n')
  t.equal(await textOf(at), moved)
  t.match(await fill(sue, `${at}/rules/2/move`, { to: '3' }), { status: 303 })
  t.equal(await textOf(at), TEXT)
  t.match(await fill(sue, `${at}/rules/2/move`, { to: '9' }), { status: 400, text: 'Choose 1 to 3.' })

  const rule = {
    hosts: 'two.test\ntwo.test:8443',
    allow: 'some',
    groups: 'Helpdesk',
    permissions: 'netbox.view',
    shadow: 'yes',
  }
  t.match(await fill(sue, `${at}/rules/2`, rule), { status: 303 })
  const changed = TEXT.replace('[two.test]', '[two.test, two.test:8443]')
    .replace(
      '{ groups: [Helpdesk] } # whom\n',
      '{ groups: [Helpdesk], permissions: [netbox.view] } # whom\n      enforce: false\n',
    )
  t.equal(await textOf(at), changed)
  const idle = await fill(sue, `${at}/rules/2`, { ...rule, allow: 'anyone' })
  t.match(idle, { status: 400, text: /act-allow-problem"><bdi><bdi>Groups, permissions and flags are given/ })
  t.match(await fill(sue, `${at}/rules/2`, { hosts: 'two.test', allow: 'authenticated' }), { status: 303 })
  t.match(await textOf(at), /hosts: \[two\.test\]\n {6}allow: authenticated # whom\n {6}enforce: true\n/)

  t.match(await fill(sue, `${at}/rules/add`, { hosts: 'new.test', allow: 'deny', place: '1' }), { status: 303 })
  t.match(await textOf(at), /rules:\n {4}- \{ hosts: \[new\.test\], allow: deny \}\n {4}- \{ name: One/)
  t.match(await fill(sue, `${at}/rules/1/remove`, {}), { status: 303 })
  t.match(await textOf(at), /rules:\n {4}- \{ name: One/)
})

t.test('what the loader refuses is said at its field, and what was entered is kept', async (t) => {
  const { sue, fill, begin, textOf } = await scene(t)
  const at = await begin()
  const wrong = await fill(sue, `${at}/rows/2`, { entraGroup: 'Finance <b>', label: 'L', groups: 'A\r\n B ' })
  t.match(wrong, { status: 400, text: /Nothing was saved/ })
  t.match(wrong.text, /aria-invalid="true"[^>]*value="Finance &#60;b&#62;"/)
  t.match(wrong.text, /id="act-entraGroup-problem"><bdi><bdi>groupMapping\[1\]\.entraGroup is [^]*display name/)
  t.match(wrong.text, /id="act-groups-problem"><bdi><bdi>groupMapping\[1\]\.groups\[1\] begins or ends with a space/)
  t.match(wrong.text, />\nA\n B <\/textarea>/)
  t.match(await fill(sue, `${at}/rows/add`, {}), { status: 400, text: /groupMapping\[2\]\.entraGroup is missing/ })
  const rule = await fill(sue, `${at}/rules/1`, { hosts: 'https://x', methods: 'get', paths: 'x', allow: 'anyone' })
  t.match(rule.text, /act-hosts-problem[^]*act-paths-problem[^]*act-methods-problem/)
  t.equal(await textOf(at), TEXT)
  t.match(await fill(sue, `${at}/rows/2`, { ...ROW, label: 'x'.repeat(301) }), { status: 400 })
  t.match(await fill(sue, `${at}/rows/2`, { ...ROW, label: '\0' }), { status: 400 })
  t.match(await fill(sue, `${at}/rows/2`, { ...ROW, label: '$' + '{SECRET}' }), { status: 400, text: 'SECRET' })
  t.equal(await textOf(at), TEXT)
})

t.test('who has not seen the last save gets back what was entered, beside the row as it is now', async (t) => {
  const { sue, fill, send, hidden, begin, textOf, query } = await scene(t)
  const at = await begin()
  const seen = await hidden(sue, `${at}/rows/2`)
  t.match(await fill(sue, `${at}/rows/1`, { ...ROW, label: 'First' }), { status: 303 })
  const saved = await textOf(at)
  const refused = await send(sue, `${at}/rows/2`, { ...seen, ...ROW, label: 'Mine <i>' })
  t.match(refused, { status: 412, text: /id="now"[^]*superuser: true[^]*value="Mine &#60;i&#62;"/ })
  t.equal(await textOf(at), saved)
  const [row] = await query<{ count: number }>(
    `select count(*)::int as count from audit_events where detail->>'code' = 'version_stale'`,
  )
  t.equal(row?.count, 1, 'the refusal is recorded')

  const old = await hidden(sue, `${at}/rows/2`)
  const removal = await hidden(sue, `${at}/rows/2/remove`)
  t.match(await send(sue, `${at}/rows/2/remove`, removal), { status: 303 })
  t.match(await send(sue, `${at}/rows/2`, { ...old, ...ROW, label: 'Mine' }), {
    status: 412,
    text: /It is not there any more[^]*label: Mine/,
  })
  t.match(await send(sue, `${at}/rows/1/remove`, removal), { status: 412 })
  const { _version: _, ...without } = await hidden(sue, `${at}/rows/1`)
  t.equal((await send(sue, `${at}/rows/1`, { ...without, ...ROW })).status, 428)
})

// proves: policy-entry-other
t.test('a form does not change another rule that is at its place now', async (t) => {
  const { sue, fill, send, hidden, begin, textOf } = await scene(t)
  const at = await begin()
  const paths = ['rules/2', 'rules/2/remove', 'rules/2/move', 'rules/3']
  const [change, remove, move, third] = await Promise.all(paths.map(async (path) => await hidden(sue, `${at}/${path}`)))
  const mine = { hosts: 'mine.test\r\n<b>', allow: 'deny' }
  t.match(await fill(sue, `${at}/rules/add`, { hosts: 'new.test', allow: 'deny', place: '1' }), { status: 303 })
  const saved = await textOf(at)
  const { _version = '' } = await hidden(sue, `${at}/rules/2`)
  for (const now of [{}, { _version }]) {
    const status = '_version' in now ? 400 : 412
    const refused = await send(sue, `${at}/rules/2`, { ...change, ...mine, ...now })
    t.match(refused, { status, text: /Another rule is at this place now[^]*rule 3 now: <a href="[^"]*\/rules\/3">/ })
    t.match(refused.text, /id="now"[^]*name: One[^]*hosts:\nmine\.test\n&#60;b&#62;/)
    t.notMatch(refused.text, '<form class="act"')
    const removal = await send(sue, `${at}/rules/2/remove`, { ...remove, ...now })
    t.match(removal, { status, text: '/rules/3/remove">' })
    t.match(await send(sue, `${at}/rules/2/move`, { ...move, ...now, to: '1' }), { status, text: '/rules/3/move">' })
    const { entry: _, ...button } = move ?? {}
    if (status === 412) t.match(await send(sue, `${at}/rules/2/move`, { ...button, to: '1' }), { status })
  }
  t.equal(await textOf(at), saved)
  t.match(await fill(sue, `${at}/rules/4/remove`, {}), { status: 303 })
  const gone = await send(sue, `${at}/rules/3`, { ...third, ...mine })
  t.match(gone, { status: 412, text: /Another rule is at this place now, or it was changed\. <a href="[^"]*\/rules">/ })
})

t.test('a text that cannot be read has no forms, and entries with aliases are shown alone', async (t) => {
  const { sue, page, fill, send, begin, textOf } = await scene(t)
  const broken = await begin('groupMapping:\n  - entraGroup: "x\n')
  for (const path of ['rows', 'rules', 'rows/1', 'rows/add', 'rules/1/move', 'rows/1/remove']) {
    const { status, text } = await page(sue, `${broken}/${path}`)
    t.equal(status, 200, path)
    t.match(text, /Line 2: [^]*Edit the YAML/, path)
    t.notMatch(text, '<form class="act"', path)
  }
  const text = `groupMapping:
  - &a { entraGroup: ${GROUP_IDS.readOnly}, groups: ['<script>x</script>'] }
  - *a
  - { <<: *a, staff: true }
  - { entraGroup: ${GROUP_IDS.readOnly}, more: 1 }
`
  const at = await begin(text)
  const list = (await page(sue, `${at}/rows`)).text
  t.match(list, /has an anchor \(&#38;a\)[^]*has an alias \(\*a\)[^]*has a merge key/)
  t.notMatch(list, '<script>x')
  t.match(list, 'There is no key', 'a finding is shown at its row')
  for (const row of [1, 2, 3]) {
    const { text } = await page(sue, `${at}/rows/${row}`)
    t.match(text, /no form can change it[^]*<pre/)
    t.notMatch(text, '<form class="act"')
    const { _csrf, _version } = hiddenOf((await page(sue, at)).text)
    const sent = await send(sue, `${at}/rows/${row}`, { _csrf: _csrf ?? '', _version: _version ?? '', ...ROW })
    t.match(sent, { status: 400, text: /no form can change it/ })
  }
  const own = (await page(sue, `${at}/rows/4`)).text
  t.match(own, /<textarea id="act-yaml"[^]*more: 1 \}\n?<\/textarea>/)
  t.match(await fill(sue, `${at}/rows/4`, { yaml: 'a: [' }), {
    status: 400,
    text: /a: \[<\/textarea>[^]*act-yaml-problem"><bdi>Line \d/,
  })
  t.match(await fill(sue, `${at}/rows/4`, { yaml: 'entraGroup: no' }), { status: 400, text: /display name/ })
  t.equal(await textOf(at), text)
  t.match(await fill(sue, `${at}/rows/4`, { yaml: `entraGroup: ${GROUP_IDS.readOnly}\nstaff: true` }), { status: 303 })
  t.match(await textOf(at), /- entraGroup: .*\n {4}staff: true\n$/)
})

// proves: policy-entry-no-field
t.test('a form that was shown before a row got another key does not take it away', async (t) => {
  const { sue, send, begin, hidden, textOf } = await scene(t)
  const at = await begin(`groupMapping:\n  - { entraGroup: ${GROUP_IDS.readOnly}, more: 1 }\n`)
  const before = await textOf(at)
  const { _csrf = '', _version = '' } = await hidden(sue, at)
  t.match(await send(sue, `${at}/rows/1`, { _csrf, _version, ...ROW }), { status: 400, text: 'has no field for' })
  t.equal(await textOf(at), before)
})

t.test('drafts of others are edited by those with gatehouse.policy alone, who are editors then', async (t) => {
  const { sue, sam, helpdesk, nobody, page, send, fill, begin, hidden, query } = await scene(t)
  const at = await begin()
  const paths = ['rows', 'rules', 'rows/1', 'rows/add', 'rows/1/remove', 'rules/1', 'rules/add', 'rules/1/move']
  for (const path of paths) {
    t.equal((await page(sam, `${at}/${path}`)).status, 403, path)
    t.equal((await page(nobody, `${at}/${path}`)).status, 404, path)
  }
  const seen = await hidden(sue, `${at}/rows/1`)
  t.equal((await send(sam, `${at}/rows/1`, { ...seen, _csrf: sam.csrfToken, ...ROW, label: 'x' })).status, 403)
  t.equal((await send(sue, `${at}/rows/1`, { ...seen, _csrf: sam.csrfToken, ...ROW, label: 'x' })).status, 403)
  await query(`insert into group_permissions (group_id, permission)
    select id, 'gatehouse.policy' from groups where name = 'Helpdesk'`)
  t.equal((await fill(helpdesk, `${at}/rows/1`, { ...ROW, label: 'x' })).status, 303)
  const [draft] = await query<{ editors: number }>(
    'select cardinality(editors) as editors from policy_drafts',
  )
  t.equal(draft?.editors, 2)
  const [row] = await query<{ count: number }>(
    `select count(*)::int as count from audit_events where action = 'policy.draft.change'`,
  )
  t.equal(row?.count, 2)
  t.equal((await page(sue, '/admin/drafts/drf_none/rows')).status, 404)
})

t.test('the pages Mapping and Access lead to the form of a row or a rule, in a draft', async (t) => {
  const { sue, sam, page, fill } = await scene(t, {
    access: { rules: [{ name: 'Wiki & more', hosts: ['wiki.test'], allow: 'anyone' }] },
  })
  t.match((await page(sue, '/admin/mapping')).text, 'href="/admin/drafts/add?row=2"')
  t.match((await page(sue, '/admin/access')).text, 'href="/admin/drafts/add?rule=1"')
  t.notMatch((await page(sam, '/admin/mapping')).text, '/admin/drafts')
  t.notMatch((await page(sam, '/admin/access')).text, '/admin/drafts')
  t.notMatch((await page(sue, '/admin/drafts/add?row=2')).text, 'Drafts of yours')
  const begun = await fill(sue, '/admin/drafts/add?row=2', { message: 'Mine' })
  t.match(begun, { status: 303, location: /^\/admin\/drafts\/drf_[\w-]+\/rows\/2\?done=drafts-add$/ })
  t.match((await page(sue, String(begun.location))).text, `value="${SECOND}"`)
  const rule = (await page(sue, '/admin/drafts/add?rule=1')).text
  t.match(rule, /Drafts of yours[^]*\/rules\?q=Wiki\+%26\+more">[^]*Mine/)
  t.match(await fill(sue, '/admin/drafts/add?rule=1', {}), { status: 303, location: /\/rules\/1\?done/ })
  t.match((await page(sue, '/admin/drafts/add?row=2')).text, `/rows?q=${SECOND}"`)
  t.equal((await page(sue, '/admin/drafts/add?row=x')).status, 200)
  t.equal((await fill(sue, '/admin/drafts/add?row=x', { row: 'x' })).status, 400)
})

t.test('long lists have pages and a search, and a list is begun where there is none', async (t) => {
  const { sue, page, fill, begin, textOf } = await scene(t)
  const rows = Array.from(
    { length: 120 },
    (_, n) =>
      `  - { entraGroup: ${
        String(n).padStart(8, '0')
      }-0000-4000-8000-000000000000, label: "Row ${n}", groups: [G${n}] }`,
  )
  const at = await begin(`groupMapping:\n${rows.join('\n')}\n`)
  const first = (await page(sue, `${at}/rows`)).text
  t.match(first, /row 25<[^]*rows\?after=25/)
  t.notMatch(first, 'row 26<')
  t.match((await page(sue, `${at}/rows?after=100`)).text, /row 101<[^]*row 120<[^]*the last page/)
  t.match((await page(sue, `${at}/rows?q=row+77`)).text, 'row 78<')
  t.match((await page(sue, `${at}/rows?q=g119`)).text, 'row 120<')
  t.match((await page(sue, `${at}/rows?q=00000003-`)).text, 'row 4<')
  t.match((await page(sue, `${at}/rows?q=nothing`)).text, 'No row matches.')
  t.match((await page(sue, `${at}/rows?only=findings`)).text, 'No row matches.')
  t.match(await fill(sue, `${at}/rows/120`, { entraGroup: GROUP_IDS.readOnly }), { location: /rows\?after=119&done=/ })
  const found = (await page(sue, `${at}/rows?only=findings`)).text
  t.match(found, /row 120<[^]*grants nothing/)
  t.notMatch(found, 'row 1<')

  const empty = await begin('username: upn # x\n')
  t.match((await page(sue, `${empty}/rules`)).text, 'The draft has no rules.')
  t.match(await fill(sue, `${empty}/rules/add`, { hosts: 'a.test', allow: 'anyone' }), { status: 303 })
  t.equal(await textOf(empty), 'username: upn # x\naccess:\n  rules:\n    - hosts: [a.test]\n      allow: anyone\n')
})
