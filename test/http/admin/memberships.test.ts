// Local groups that administrators give by hand and take away: what is refused, what is recorded, two administrators at
// once, and the forms.
import { randomUUID } from 'node:crypto'
import { request } from 'undici'
import t, { type Test } from 'tap'
import { connect, dumpEverything, type Query } from '../../helpers/sql.js'
import { HELPDESK, PEOPLE, startAdminScene, type AdminScene, type ApiClient } from './helper.js'

const WHY = 'She covers for a colleague.'

interface Scene extends AdminScene {
  readonly query: Query
  /** A user without an Entra identity. */
  readonly max: string
  /** Of this user, as the administrator sees it now. */
  version(id: string): Promise<string>
  give(client: ApiClient, id: string, group: string, body?: object): Promise<Reply>
  take(client: ApiClient, id: string, group: string): Promise<Reply>
  rows(action: string): Promise<readonly Record<string, unknown>[]>
}

interface Reply {
  readonly status: number
  readonly code: unknown
  readonly json: Record<string, unknown> | undefined
}

async function scene(t: Test): Promise<Scene> {
  const made = await startAdminScene(t)
  const query = await connect(t, made.gateway.databaseUrl)
  const { clients: { sue } } = made
  const [{ id: max = '' } = {}] = await query<{ id: string }>(
    "insert into users (username, username_key) values ('max', 'max') returning id",
  )
  await query(
    `with made as (insert into groups (name)
      select unnest(array['Auditors', 'Key Keepers', 'a/b?c#d%2Fe "<b>"']) returning id, name)
    insert into group_permissions (group_id, permission)
    select id, case name when 'Key Keepers' then 'gatehouse.keys' else 'netbox.view' end from made`,
  )
  const version = async (id: string) =>
    String((await sue.ask(`/people/${id}`)).headers['etag'] ?? `"${'A'.repeat(22)}"`)
  const send = async (client: ApiClient, method: string, path: string, ifMatch: string, body?: object) => {
    const { status, json } = await client.ask(path, {
      method,
      headers: { 'sec-fetch-site': 'same-origin', 'x-csrf-token': client.csrfToken, 'if-match': ifMatch },
      ...body === undefined ? {} : { body },
    })
    return { status, code: json?.['code'], json }
  }
  const pathOf = (id: string, group: string) => `/people/${id}/groups/${encodeURIComponent(group)}`
  return {
    ...made,
    query,
    max,
    version,
    give: async (client, id, group, body = {}) => await send(client, 'PUT', pathOf(id, group), await version(id), body),
    take: async (client, id, group) =>
      await send(client, 'DELETE', `${pathOf(id, group)}?reason=Over`, await version(id)),
    rows: async (action) =>
      await query('select actor, username, detail from audit_events where action = $1 order by id', [action]),
  }
}

// proves: act-give-future
t.test('a group is given with an end, gets another one, and is taken away', async (t) => {
  const { clients: { sue }, query, max, give, take, rows } = await scene(t)
  const before = await dumpEverything(query)
  for (
    const until of [
      '2001-01-01T00:00:00Z',
      new Date(Date.now() - 1_000).toISOString(),
      '2999-01-01',
      '2999-01-01T00:00:00',
      '2999-02-30T00:00:00Z',
      '2998-12-31T23:59:60Z',
      'infinity',
      'tomorrow',
      '',
      7,
    ]
  ) {
    t.match(await give(sue, max, 'Auditors', { until }), { status: 400, code: 'request_malformed' }, String(until))
  }
  t.match(await give(sue, max, 'auditors'), { status: 404, code: 'group_unknown' }, 'names are compared exactly')
  t.match(await give(sue, randomUUID(), 'Auditors'), { status: 404, code: 'user_unknown' })
  t.match(await take(sue, max, 'Auditors'), { status: 404, code: 'membership_unknown' })
  t.equal(await dumpEverything(query), before, 'nothing has changed')

  const far = '9999-12-31T23:59:59.000Z'
  t.match(await give(sue, max, 'Auditors', { until: '2999-01-01T02:00:00+02:00', reason: WHY }), {
    status: 200,
    json: { changed: true, byHand: true, until: '2999-01-01T00:00:00.000Z', endsAtNextSignIn: false },
  })
  t.match(await give(sue, max, 'Auditors', { until: '2999-01-01T00:00:00Z' }), { json: { changed: false } })
  t.match(await give(sue, max, 'Auditors', { until: far }), { json: { changed: true, until: far } })
  const { json } = await sue.ask(`/people/${max}`)
  t.match(json, {
    groups: [{ name: 'Auditors', until: far }],
    rights: [{ name: 'Auditors', until: far, byHand: true }],
  })
  t.match(await give(sue, max, 'Auditors'), { json: { changed: true, until: null } }, 'without an end')
  t.match(await take(sue, max, 'Auditors'), { status: 200, json: { until: null } })
  t.strictSame(await query('select 1 from user_groups where user_id = $1', [max]), [])

  const given = await rows('user.group.given')
  t.match(given, [
    { actor: /^admin:/, username: 'max', detail: { group: 'Auditors', before: null, reason: WHY } },
    { detail: { before: { until: '2999-01-01T00:00:00.000Z' }, after: { until: far } } },
    { detail: { before: { until: far }, after: { until: null } } },
  ])
  t.equal(given.length, 3, 'no row where nothing changed')
  t.match(await rows('user.group.taken'), [
    { username: 'max', detail: { group: 'Auditors', before: { until: null }, after: null, reason: 'Over' } },
  ])
})

// proves: act-give-ceiling
t.test('nobody gives permissions of the console that they do not hold', async (t) => {
  const { clients: { helpdesk, sue }, query, max, give, take } = await scene(t)
  await query(`insert into group_permissions select id, 'gatehouse.people' from groups where name = '${HELPDESK}'`)
  const [{ id: gus = '' } = {}] = await query<{ id: string }>('select user_id as id from identities where oid = $1', [
    PEOPLE.helpdesk,
  ])
  const before = await dumpEverything(query)
  for (const whom of [max, gus]) {
    t.match(await give(helpdesk, whom, 'Key Keepers'), { status: 403, code: 'above_own_rights' })
  }
  t.equal(await dumpEverything(query), before)
  t.match(await give(helpdesk, max, 'Auditors'), { status: 200 })
  t.match(await give(helpdesk, max, HELPDESK), { status: 200 }, 'what he holds himself')
  t.match(await give(sue, max, 'Key Keepers'), { status: 200 })
  t.match(await take(helpdesk, max, 'Key Keepers'), { status: 200 }, 'taking gives nothing')

  await query("update users set is_break_glass = true where username = 'max'")
  t.match(await give(helpdesk, max, 'Auditors', { until: '2999-01-01T00:00:00Z' }), { code: 'above_own_rights' })
  t.match(await take(helpdesk, max, 'Auditors'), { code: 'above_own_rights' })

  // his own permission has an end too
  await query(`update user_groups set cause = null, until = now() where user_id = '${gus}'`)
  t.match(await give(helpdesk, max, 'Auditors'), { status: 404, code: 'not_found' }, 'the console is closed to him')
})

// proves: act-give-mapped, act-take-by-hand
t.test('what the mapping grants is neither given nor taken by hand', async (t) => {
  const { gateway, clients: { sue }, query, give, take, version, rows } = await scene(t)
  const [{ id: sam = '' } = {}] = await query<{ id: string }>('select user_id as id from identities where oid = $1', [
    PEOPLE.sam,
  ])
  const before = await dumpEverything(query)
  const seen = await version(sam)
  t.match(await give(sue, sam, 'Network Engineers', { until: '2999-01-01T00:00:00Z' }), {
    status: 200,
    json: { changed: false, byHand: false, until: null, endsAtNextSignIn: false },
  })
  const refused = await take(sue, sam, 'Network Engineers')
  t.match(refused, { status: 409, code: 'group_mapped', json: { detail: /row 3 \(Entra group .*Change the mapping/ } })
  t.equal(await dumpEverything(query), before)
  t.equal(await version(sam), seen)

  t.match(await give(sue, sam, 'Auditors', { until: '2999-01-01T00:00:00Z' }), { json: { endsAtNextSignIn: true } })
  t.not(await version(sam), seen, 'an end is part of the version')
  await give(sue, sam, 'Read Only', { until: '2999-01-01T00:00:00Z' })
  await gateway.signIn(PEOPLE.sam)
  t.match((await sue.ask(`/people/${sam}`)).json, { groups: [{ name: 'Network Engineers', until: null }] })
  t.match(await take(sue, sam, 'Auditors'), { code: 'membership_unknown' }, 'gone at the sign-in')
  t.strictSame((await rows('user.group.given')).length, 2)
})

t.test('two administrators at once, and a group that is renamed meanwhile', async (t) => {
  const { gateway, clients: { sue }, query, max, give, version } = await scene(t)
  const seen = await version(max)
  const send = async (group: string) =>
    await sue.ask(`/people/${max}/groups/${encodeURIComponent(group)}`, {
      method: 'PUT',
      headers: { 'sec-fetch-site': 'same-origin', 'x-csrf-token': sue.csrfToken, 'if-match': seen },
      body: {},
    })
  const both = await Promise.all([send('Auditors'), send('Read Only')])
  t.strictSame(both.map(({ status }) => status).sort(), [200, 412], 'one of them has seen what is')
  t.equal((await query('select 1 from user_groups where user_id = $1', [max])).length, 1)

  await query('delete from user_groups where user_id = $1', [max])
  const current = await version(max)
  const rename = await connect(t, gateway.databaseUrl)
  await rename("begin; update groups set name = 'Reviewers' where name = 'Auditors'")
  const waiting = sue.ask(`/people/${max}/groups/Auditors`, {
    method: 'PUT',
    headers: { 'sec-fetch-site': 'same-origin', 'x-csrf-token': sue.csrfToken, 'if-match': current },
    body: {},
  })
  const blocked = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
  while ((await query(blocked)).length === 0) continue
  await rename('commit')
  t.match((await waiting).json, { code: 'group_unknown' }, 'it waited for the renaming')
  t.match(await give(sue, max, 'Reviewers'), { status: 200 })
})

t.test('the forms, as a browser without JavaScript sends them', async (t) => {
  const { gateway, clients: { sue, sam }, query, max } = await scene(t)
  const page = async (path: string, { browser }: ApiClient = sue) => await gateway.ask(path, { browser })
  const send = async (path: string, fields: Record<string, string>) => {
    const { text } = await page(path)
    const hidden = Object.fromEntries(
      [...text.matchAll(/type="hidden" name="(\w+)" value="([^"]*)"/g)].map(([, name, value = '']) =>
        [name, value.replaceAll('&#34;', '"')] as const
      ),
    )
    const answer = await request(`${gateway.url}${path}`, {
      method: 'POST',
      headers: {
        'cookie': sue.browser.cookieHeader(gateway.url),
        'accept': 'text/html',
        'content-type': 'application/x-www-form-urlencoded',
        'sec-fetch-site': 'same-origin',
      },
      body: new URLSearchParams({ ...hidden, ...fields }).toString(),
    })
    return { status: answer.statusCode, location: answer.headers['location'], text: await answer.body.text() }
  }
  const form = `/admin/people/${max}/groups/give`
  t.match((await page(`/admin/people/${max}`)).text, `href="${form}">Give a group to max<`)
  t.notMatch((await page(`/admin/people/${max}`, sam)).text, '/groups/give"', 'staff does not')
  t.equal((await page(form, sam)).status, 403)
  const { text } = await page(form)
  for (
    const part of ['End, in UTC (optional)', 'type="datetime-local"', '<option value="Auditors">', 'maxlength="300"']
  ) {
    t.match(text, part)
  }
  t.match(/<button class="button primary">([^<]*)</.exec(text)?.[1], 'Give this group to max')

  const name = 'a/b?c#d%2Fe "<b>"'
  const before = await dumpEverything(query)
  for (const until of ['2001-01-01T00:00', '2999-02-30T00:00', '2999-01-01', '2999-01-01T00:00Z', 'soon']) {
    const shown = await send(form, { name, until })
    t.equal(shown.status, 400, until)
    t.match(shown.text, `value="${until}"`, 'shown again, filled in')
  }
  t.equal((await send(form, { until: '2999-01-01T00:00' })).status, 400, 'no group')
  t.equal((await send(form, { name: 'Nobody' })).status, 404)
  t.equal(await dumpEverything(query), before)

  const given = await send(form, { name, until: '2999-01-01T18:30' })
  t.match(given, { status: 303, location: `/admin/people/${max}?done=people-groups-give` })
  const shown = (await page(`/admin/people/${max}`)).text
  t.match(shown, /until <time datetime="2999-01-01T18:30:00.000Z">2999-01-01 18:30 UTC/)
  t.notMatch(shown, 'gone at the next sign-in', 'this user has no Entra identity')
  const [, take = ''] = /href="([^"]*\/take)"/.exec(shown) ?? []
  t.match(take, `/admin/people/${max}/groups/a%2Fb`)
  t.match((await page(take)).text, /Take a\/b.* from max/)
  t.equal((await send(take, {})).status, 400, 'a reason is asked for')
  t.match(await send(take, { reason: 'Over.' }), { status: 303 })
  t.strictSame(await query('select 1 from user_groups where user_id = $1', [max]), [])
  t.equal((await send(take, { reason: 'Over.' })).status, 404)

  const [{ id = '' } = {}] = await query<{ id: string }>('select user_id as id from identities where oid = $1', [
    PEOPLE.sam,
  ])
  t.match((await page(`/admin/people/${id}/groups/give`)).text, 'gone at the next sign-in or re-evaluation')
  await send(`/admin/people/${id}/groups/give`, { name: 'Auditors', reason: WHY })
  t.match((await page(`/admin/people/${id}`)).text, 'gone at the next sign-in or re-evaluation')
  const mapped = `/admin/people/${id}/groups/Network%20Engineers/take`
  t.match(await send(mapped, { reason: 'Over.' }), { status: 409, text: /row 3 \(Entra group/ })
})
