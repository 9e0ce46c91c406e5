// Access reviews at the API: who has what and why, marks by reviewers, and when they fall, by real sign-ins.
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { createReviewActs } from '../../../src/admin/acts/reviews.js'
import { GROUP_IDS } from '../../../src/demo/people.js'
import { createActTransaction } from '../../../src/store/act-unit.js'
import { administrators } from '../../helpers/acts.js'
import { connect, dumpEverything, type Query } from '../../helpers/sql.js'
import { HELPDESK, PEOPLE, SCENE_MAPPING, startAdminScene, type ApiClient, type Who } from './helper.js'
import { giveToken } from './token-client.js'

type Row = Readonly<Record<string, unknown>>

const ENGINEERS = 'group:Network Engineers'

async function scene(t: Test) {
  const made = await startAdminScene(t)
  const query = await connect(t, made.gateway.databaseUrl)
  const { clients: { sue } } = made
  const idOf = async (who: Who) => await userOf(query, PEOPLE[who])
  const pathOf = (id: string, right: string) => `/reviews/${id}/${encodeURIComponent(right)}`
  const etag = async (id: string, right: string) =>
    String((await sue.ask(pathOf(id, right))).headers['etag'] ?? `"${'A'.repeat(22)}"`)
  const send = async (client: ApiClient, id: string, right: string, body: object, ifMatch: string) => {
    const headers = { 'sec-fetch-site': 'same-origin', 'x-csrf-token': client.csrfToken, 'if-match': ifMatch }
    const { status, json } = await client.ask(pathOf(id, right), { method: 'PUT', headers, body })
    return { status, code: json?.['code'], json }
  }
  const mark = async (id: string, right: string, body: object = { verdict: 'confirmed' }, client = sue) =>
    await send(client, id, right, body, await etag(id, right))
  const list = async (filter = '') =>
    ((await sue.ask(`/reviews?limit=200${filter}`)).json?.['items'] ?? []) as readonly Row[]
  /** Rights of this user with a mark that counts. */
  const marked = async (id: string) => (await list(`&q=${id}&reviewed=true`)).map(({ right }) => right)
  const rows = async (action: string) =>
    await query('select actor, username, detail from audit_events where action = $1 order by id', [action])
  return { ...made, query, sue, idOf, pathOf, etag, send, mark, list, marked, rows }
}

async function userOf(query: Query, oid: string): Promise<string> {
  const [row] = await query<{ id: string }>('select user_id as id from identities where oid = $1', [oid])
  return row?.id ?? ''
}

t.test('a right is listed with its reason, confirmed, and doubted', async (t) => {
  const { sue, query, idOf, mark, list, rows, pathOf } = await scene(t)
  const [sam, sueId] = [await idOf('sam'), await idOf('sue')]
  const before = await list(`&q=${sam}`)
  const reasons = [{ row: 3, entraGroup: GROUP_IDS.networkEngineers, label: null, inForce: true }]
  t.match(before, [
    { right: 'staff', kind: 'staff', group: null, reasons, byHand: false, review: null, until: null },
    { right: ENGINEERS, kind: 'group', group: 'Network Engineers', reasons, review: null, isActive: true },
  ])
  t.equal(before.length, 2)
  const { headers, json } = await sue.ask(pathOf(sam, ENGINEERS))
  t.equal(headers['etag'], json?.['etag'])
  t.strictSame(json, before[1], 'one right is as in the list')

  const note = 'Still "in" the team <b>'
  t.match(await mark(sam, ENGINEERS, { verdict: 'confirmed', note }), {
    status: 200,
    json: { verdict: 'confirmed', reviewerId: sueId, reviewer: /super/, note },
  })
  t.match(await mark(sam, 'staff', { verdict: 'doubted' }), { status: 200, json: { verdict: 'doubted', note: null } })
  t.match(await mark(sam, ENGINEERS, { verdict: 'doubted', note: '' }), { json: { verdict: 'doubted', note: null } })
  t.match(await list(`&q=${sam}&verdict=doubted&kind=staff`), [{ review: { verdict: 'doubted', reviewerId: sueId } }])
  t.strictSame(await list(`&q=${sam}&verdict=confirmed`), [])
  t.match((await sue.ask(`/people/${sam}`)).json, { rights: [{ review: { verdict: 'doubted' } }, { name: /Eng/ }] })
  t.match(await rows('review.confirm'), [
    { actor: `admin:${sueId}`, username: /staff/, detail: { right: ENGINEERS, before: null, after: { note } } },
  ])
  t.match(await rows('review.doubt'), [
    { detail: { right: 'staff', before: null, after: { verdict: 'doubted', note: null } } },
    { detail: { right: ENGINEERS, before: { verdict: 'confirmed', reviewerId: sueId, note } } },
  ])

  const nothing = await dumpEverything(query)
  const group = 'group:'
  for (const right of ['superuser', 'admin', 'Staff', 'group', group, 'group:network engineers', `${group}\u0001`]) {
    t.match(await mark(sam, right), { status: 404, code: 'right_not_held' }, right)
    t.match((await sue.ask(pathOf(sam, right))).json, { status: 404, code: 'right_not_held' }, right)
  }
  t.match(await mark(randomUUID(), 'staff'), { status: 404, code: 'right_not_held' })
  t.match(await mark(sam, 'group:\0'), { status: 400, code: 'request_malformed' })
  for (
    const body of [{}, { verdict: 'right' }, { verdict: 'confirmed', note: 'a\nb' }, {
      verdict: 'confirmed',
      note: 'x'.repeat(501),
    }]
  ) {
    t.match(await mark(sam, 'staff', body), { status: 400, code: 'request_malformed' }, JSON.stringify(body))
  }
  t.equal(await dumpEverything(query), nothing, 'nothing has changed')
})

t.test('a review is of the right and of the mark that the reviewer has seen', async (t) => {
  const { sue, query, idOf, etag, send, mark, pathOf } = await scene(t)
  const sam = await idOf('sam')
  const seen = await etag(sam, 'staff')
  await mark(sam, 'staff')
  t.match(await send(sue, sam, 'staff', { verdict: 'doubted' }, seen), { status: 412, code: 'version_stale' })
  const both = [await etag(sam, ENGINEERS), await etag(sam, ENGINEERS)]
  const answers = await Promise.all(both.map((tag) => send(sue, sam, ENGINEERS, { verdict: 'confirmed' }, tag)))
  t.strictSame(answers.map(({ status }) => status).sort(), [200, 412])
  const tag = await etag(sam, ENGINEERS)
  await query("update user_groups set since = since - interval '1 hour'")
  t.match(await send(sue, sam, ENGINEERS, { verdict: 'confirmed' }, tag), { status: 412, code: 'version_stale' })
  t.match((await sue.ask(pathOf(sam, ENGINEERS))).json, { review: null }, 'the mark has fallen with it')
})

// proves: review-permissions-seen
t.test('a review does not count for permissions that the reviewer has not seen', async (t) => {
  const { sue, query, idOf, etag, send, mark, marked, list } = await scene(t)
  const sam = await idOf('sam')
  const seen = await etag(sam, ENGINEERS)
  await query("insert into group_permissions select id, 'gatehouse.keys' from groups where name = 'Network Engineers'")
  t.match(await send(sue, sam, ENGINEERS, { verdict: 'confirmed' }, seen), { status: 412, code: 'version_stale' })
  t.strictSame(await marked(sam), [])
  const [right] = await list(`&q=${sam}&kind=group`)
  t.ok((right?.['permissions'] as readonly string[]).includes('gatehouse.keys'))
  t.match(await mark(sam, ENGINEERS), { status: 200 })
  await query("delete from group_permissions where permission = 'gatehouse.keys'")
  t.strictSame(await marked(sam), [], 'it has fallen with the permission')
})

// proves: review-own-right
t.test('nobody reviews rights of their own, nor does a program with their token', async (t) => {
  const opened = await scene(t)
  const { query, sue, idOf, mark, list, rows } = opened
  const own = await idOf('sue')
  const held = await list(`&q=${own}`)
  t.ok(held.length >= 3)
  const token = { ...sue, ask: (await giveToken(opened, query, 'sue', ['gatehouse.people'])).ask }
  for (const { right } of held) {
    for (const by of [sue, token]) {
      t.match(await mark(own, String(right), undefined, by), { status: 403, code: 'review_own_right' }, String(right))
    }
  }
  t.strictSame(await query('select 1 from access_reviews'), [])
  t.match(await rows('act.refused'), [{ actor: `admin:${own}`, detail: { code: 'review_own_right' } }])
})

// proves: review-by-token
t.test('rights of superusers are reviewed by every reviewer, but not by token', async (t) => {
  const opened = await scene(t)
  const { query, clients: { helpdesk, sue }, idOf, mark, marked } = opened
  await query(`insert into group_permissions select id, 'gatehouse.people' from groups where name = '${HELPDESK}'`)
  const [sam, own] = [await idOf('sam'), await idOf('sue')]
  t.match(await mark(own, 'superuser', { verdict: 'doubted' }, helpdesk), { status: 200, json: { verdict: 'doubted' } })
  const tokenOf = async (who: Who) => ({
    ...sue,
    ask: (await giveToken(opened, query, who, ['gatehouse.people'])).ask,
  })
  const before = await marked(own)
  t.strictSame(before, ['superuser'])
  const refused = { status: 403, code: 'above_own_rights' }
  t.match(await mark(own, 'staff', undefined, await tokenOf('helpdesk')), refused)
  await query('update users set is_break_glass = true where id = $1', [sam])
  t.match(await mark(sam, 'staff', undefined, await tokenOf('sue')), refused)
  await query('update users set is_break_glass = false where id = $1', [sam])
  t.match(await mark(sam, 'staff', undefined, await tokenOf('sue')), { status: 200 })
  t.strictSame(await marked(own), before)
})

// proves: review-permission
t.test('the use case itself needs gatehouse.people', async (t) => {
  const { gateway, query, idOf } = await scene(t)
  const { database } = gateway.gateway
  const reviews = createReviewActs(createActTransaction(database, gateway.config.session, []))
  const as = await administrators(query)
  const [staff] = await query<{ username: string }>('select username from users where id = $1', [await idOf('sam')])
  const asked = {
    personId: await idOf('helpdesk'),
    right: `group:${HELPDESK}`,
    verdict: 'confirmed',
    note: '',
  } as const
  const before = await dumpEverything(query)
  await t.rejects(reviews.mark(asked, await as(staff?.username ?? '')), { code: 'not_allowed' })
  t.equal(await dumpEverything(query), before)
})

t.test('a mark outlives sign-ins that change nothing, and falls when the right changes', async (t) => {
  const { gateway, query, idOf, mark, marked } = await scene(t)
  const { entra: { directory } } = gateway
  const sam = await idOf('sam')
  const signIn = async () => await gateway.signIn(PEOPLE.sam)
  const markBoth = async () => {
    for (const right of ['staff', ENGINEERS]) t.equal((await mark(sam, right)).status, 200, right)
  }
  await markBoth()
  await signIn()
  t.strictSame(await marked(sam), ['staff', ENGINEERS], 'a sign-in that changes nothing')

  gateway.reload({ groupMapping: [...SCENE_MAPPING].reverse() })
  await signIn()
  t.strictSame(await marked(sam), ['staff', ENGINEERS], 'rows of the mapping have moved')

  directory.addMember(GROUP_IDS.netboxAdmins, PEOPLE.sam)
  await signIn()
  t.strictSame(await marked(sam), [ENGINEERS], 'another Entra group grants staff too')
  directory.removeMember(GROUP_IDS.netboxAdmins, PEOPLE.sam)
  await signIn()
  t.strictSame(await marked(sam), [ENGINEERS], 'a mark that has fallen stays so, although the reason is as it was')

  directory.removeMember(GROUP_IDS.networkEngineers, PEOPLE.sam)
  await signIn()
  t.strictSame(await marked(sam), [], 'both are lost')
  directory.addMember(GROUP_IDS.networkEngineers, PEOPLE.sam)
  await signIn()
  t.strictSame(await marked(sam), [], 'lost and given again')

  await markBoth()
  const [engineers, readOnly] = [GROUP_IDS.networkEngineers, GROUP_IDS.readOnly]
  const others = SCENE_MAPPING.filter(({ entraGroup }) => entraGroup !== engineers && entraGroup !== readOnly)
  const split = [
    { entraGroup: engineers, groups: ['Read Only'], staff: true },
    { entraGroup: readOnly, groups: ['Network Engineers'] },
  ]
  directory.addMember(readOnly, PEOPLE.sam)
  gateway.reload({ groupMapping: [...others, ...split] })
  await signIn()
  t.strictSame(await marked(sam), ['staff'], 'the mapping grants the group to another Entra group')

  await query('update user_groups set cause = null where user_id = $1 and cause is not null', [sam])
  const byHand = (await query<{ name: string }>(
    'select name from groups g join user_groups m on m.group_id = g.id where m.user_id = $1 order by 1',
    [sam],
  )).map(({ name }) => `group:${name}`)
  t.ok(byHand.includes(ENGINEERS))
  for (const right of byHand) await mark(sam, right)
  t.strictSame(await marked(sam), ['staff', ...byHand])
  await signIn()
  t.strictSame(await marked(sam), ['staff'], 'what was assigned by hand is granted by the mapping now')
})

t.test('a mark falls with the end of a group that is given by hand', async (t) => {
  const { sue, query, mark, marked } = await scene(t)
  const [{ id: max = '' } = {}] = await query<{ id: string }>(
    "insert into users (username, username_key) values ('max', 'max') returning id",
  )
  const give = async (body: object) => {
    const ifMatch = String((await sue.ask(`/people/${max}`)).headers['etag'])
    const headers = { 'sec-fetch-site': 'same-origin', 'x-csrf-token': sue.csrfToken, 'if-match': ifMatch }
    const { status } = await sue.ask(`/people/${max}/groups/Read%20Only`, { method: 'PUT', headers, body })
    t.equal(status, 200)
  }
  const right = 'group:Read Only'
  await give({ until: '2999-01-01T00:00:00Z' })
  t.match(await mark(max, right), { status: 200 })
  await give({ until: '2999-01-01T00:00:00Z' })
  t.strictSame(await marked(max), [right])
  await give({ until: '2999-01-02T00:00:00Z' })
  t.strictSame(await marked(max), [], 'it ends later')
  await give({ until: '2999-01-01T00:00:00Z' })
  t.strictSame(await marked(max), [], 'and when it did before')
  await mark(max, right)
  await give({})
  t.strictSame(await marked(max), [], 'it has no end any more')
  await mark(max, right)
  await query("update user_groups set until = now() - interval '1 second' where user_id = $1", [max])
  t.match(await mark(max, right), { status: 404, code: 'right_not_held' }, 'it has ended')
})
