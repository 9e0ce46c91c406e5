// The page of access reviews and its files: marks without JavaScript, hostile names, and who may see and do what.
import t, { type Test } from 'tap'
import { createActTransaction } from '../../../src/store/act-unit.js'
import { hostileName } from '../../helpers/hostile-names.js'
import { connect } from '../../helpers/sql.js'
import { formsOf } from './forms.js'
import { PEOPLE, startAdminScene } from './helper.js'

const PAGE = '/admin/reviews'
const text = (html: string) => html.replace(/&#(\d+);/g, (_, n) => String.fromCharCode(n))

async function scene(t: Test) {
  const made = await startAdminScene(t)
  const query = await connect(t, made.gateway.databaseUrl)
  const [{ id: sam = '' } = {}] = await query<{ id: string }>('select user_id as id from identities where oid = $1', [
    PEOPLE.sam,
  ])
  return { ...made, query, sam, ...formsOf(made.gateway) }
}

/** The forms of the rows, with their hidden fields. */
function formsIn(page: string) {
  return [...page.matchAll(/<form class="mark" method="post" action="([^"]*)"[^>]*>(.*?)<\/form>/gs)].map(
    ([, action = '', content = '']) => ({
      action: text(action),
      fields: Object.fromEntries(
        [...content.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)]
          .map(([, name = '', value = '']) => [name, text(value)]),
      ),
    }),
  )
}

t.test('a right is marked in its row, and the list stays where it was', async (t) => {
  const { clients: { sue, sam: staff }, query, sam, page, send, fill } = await scene(t)
  const filtered = `${PAGE}?q=${sam}&active=true`
  const first = await page(sue, filtered)
  const [flag, group, ...more] = formsIn(first.text)
  if (flag === undefined || group === undefined) return t.fail('two rights have forms')
  t.strictSame(more, [])
  t.match(first.text, 'not reviewed yet')
  t.notMatch((await page(staff, PAGE)).text, '<form class="mark"', 'staff sees the report alone')

  const marked = await send(sue, group.action, { ...group.fields, verdict: 'doubted' })
  t.equal(marked.status, 303)
  t.equal(marked.location, `${PAGE}?q=${sam}&active=true&done=reviews-mark#row-2`)
  const after = (await page(sue, String(marked.location))).text
  t.match(after, 'The review is kept.')
  t.match(
    after,
    new RegExp(`Not right any more</span> by .*<a href="/admin/people/${sam}#rights">Take it away</a>`, 's'),
  )
  t.match((await page(sue, `/admin/people/${sam}`)).text, 'Not right any more', 'the page of the user shows it')

  const stale = await send(sue, group.action, { ...group.fields, verdict: 'confirmed' })
  t.equal(stale.status, 412)
  t.match(stale.text, /value="confirmed" required checked/, 'the form is shown again as it was filled in')
  const withNote = await fill(sue, flag.action, { verdict: 'confirmed', note: 'She is <b>ours</b>' })
  t.match(withNote, { status: 303, location: `${PAGE}?done=reviews-mark` })
  t.match((await page(sue, PAGE)).text, 'She is &#60;b&#62;ours&#60;/b&#62;')
  t.equal((await send(sue, flag.action, { ...flag.fields, place: 'https://evil.example/?after=x' })).status, 400)
  const elsewhere = { ...formsIn((await page(sue, filtered)).text)[0]?.fields, verdict: 'confirmed' }
  const place = 'https://evil.example/?q=a&done=b&row=7#x'
  t.match(await send(sue, flag.action, { ...elsewhere, place }), {
    status: 303,
    location: `${PAGE}?done=reviews-mark`,
  }, 'the next page is always the list')
  t.equal((await send(staff, flag.action, flag.fields)).status, 403)
  t.equal((await page(sue, `${PAGE}/${sam}/superuser/mark`)).status, 404)
  t.equal((await query('select 1 from access_reviews')).length, 2)
})

t.test('a row shows what its group permits, permissions of the console first', async (t) => {
  const { clients: { sue }, query, sam, page } = await scene(t)
  await query(`insert into group_permissions select g.id, word from groups g,
    (select 'a' || n || '.' || repeat('x', 90) from generate_series(1, 900) n union all
      select 'gatehouse.keys') w (word)
    where name = 'Network Engineers'`)
  const row = (await page(sue, `${PAGE}?q=${sam}&kind=group`)).text
  t.match(row, /<code>gatehouse.keys<\/code> <code>a1\.x{56}…<\/code>/)
  t.match(row, '#permissions">and 896 more</a>')
  const [form] = formsIn(row)
  t.match((await page(sue, String(form?.action))).text, '#permissions">and 801 more</a>')
  await query(
    `insert into users (username, username_key) select 'crowd' || n, 'crowd' || n from generate_series(1, 30) n;
    insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g
      where u.username like 'crowd%' and g.name = 'Network Engineers'`,
  )
  const whole = (await page(sue, `${PAGE}?q=crowd`)).text
  t.equal(formsIn(whole).length, 20)
  t.ok(whole.length < 60_000, `${whole.length} characters`)
})

t.test('rights of the one who looks have no form', async (t) => {
  const { clients: { sue }, query, page } = await scene(t)
  const [{ id = '' } = {}] = await query<{ id: string }>('select user_id as id from identities where oid = $1', [
    PEOPLE.sue,
  ])
  const { text: own } = await page(sue, `${PAGE}?q=${id}`)
  t.match(own, 'another administrator reviews it')
  t.strictSame(formsIn(own), [])
  t.match((await page(sue, `${PAGE}/${id}/superuser/mark`)).text, 'a right of your own')
  t.match((await page(sue, `${PAGE}?q=${id}&verdict=doubted`)).text, 'No right fulfils all of these filters.')
})

// proves: review-file-permission
t.test('the report as CSV and NDJSON has every right of the filter, and no formulas', async (t) => {
  const { gateway, clients: { sue, sam: staff, nobody }, query, page } = await scene(t)
  await query(
    `insert into users (username, username_key, name) select 'crowd' || n, 'crowd' || n, $1 || n
      from generate_series(1, 700) n`,
    ['=cmd|'],
  )
  await query(`insert into user_groups (user_id, group_id) select u.id, g.id from users u, groups g
    where u.username like 'crowd%' and g.name in ('Read Only', 'Circuit Manager')`)
  const reviewerId = '00000000-0000-4000-8000-000000000001'
  const [{ id = '' } = {}] = await query<{ id: string }>("select id from users where username = 'crowd7'")
  const note = `+1 "${hostileName(2)}"`
  await createActTransaction(gateway.gateway.database, gateway.config.session, [])(async ({ reviews }) => {
    await reviews.mark(id, { kind: 'group', group: 'Read Only' }, { verdict: 'doubted', reviewerId, note })
  })
  const csv = await page(staff, `${PAGE}.csv?q=crowd`)
  t.match(csv.headers.get('content-type'), /^text\/csv/)
  t.match(csv.headers.get('content-disposition'), /^attachment; filename="gatehouse-reviews-\d{4}-\d\d-\d\d\.csv"$/)
  const lines = csv.text.trimEnd().split('\r\n')
  t.equal(lines.length, 1 + 1_400)
  t.match(lines[0], /^personId,username,name,isActive,right,permissions,byHand,reasons,since,until,verdict,/)
  const found = lines.find((line) => line.includes('doubted'))
  t.match(found, /,crowd7,'=cmd\|7,true,group:Read Only,[^,]*,true,,\d{4}-[^,]+Z,,doubted,/)
  t.match(found, /,"'\+1 ""/)
  const ndjson = await page(sue, `${PAGE}.ndjson?q=crowd`)
  t.match(ndjson.headers.get('content-type'), /^application\/x-ndjson/)
  const rows = ndjson.text.trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>)
  t.equal(rows.length, 1_400)
  t.match(rows.find(({ review }) => review !== null), {
    username: 'crowd7',
    right: 'group:Read Only',
    review: { verdict: 'doubted', note, reviewer: null },
  })
  t.notMatch(ndjson.text, /\p{Cf}/u, 'no marks that reorder text')
  t.equal(rows.some((row) => 'etag' in row), false)
  t.equal((await page(sue, `${PAGE}.csv?verdict=doubted`)).text.trimEnd().split('\r\n').length, 2)
  t.equal((await page(sue, `${PAGE}.csv?verdict=x`)).status, 400)
  for (const format of ['csv', 'ndjson']) {
    t.equal((await page(nobody, `${PAGE}.${format}`)).status, 404)
    t.equal((await gateway.ask(`${PAGE}.${format}`, { headers: { accept: '*/*' } })).status, 401)
  }
})

// proves: review-files-bounded
t.test('two files at a time are read, and no more', async (t) => {
  const { clients: { sue }, gateway, page } = await scene(t)
  const lock = await connect(t, gateway.databaseUrl)
  await lock('begin; lock table access_reviews in access exclusive mode') // files wait for their first page
  const asked = Array.from({ length: 4 }, () => page(sue, `${PAGE}.csv`))
  const refused = await Promise.race(asked)
  t.equal(refused.status, 429)
  await lock('commit')
  const statuses = (await Promise.all(asked)).map(({ status }) => status)
  t.strictSame(statuses.sort(), [200, 200, 429, 429])
  t.equal((await page(sue, `${PAGE}.ndjson`)).status, 200, 'and afterwards again')
})
