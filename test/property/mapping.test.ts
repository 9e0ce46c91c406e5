// The heart of the product against an oracle: whatever the tenant, the mapping table and the past look like, a login
// leaves exactly what the contract says, and a login that fails leaves everything as it was.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Browser } from '../helpers/browser.js'
import { changes, hiccups, LOCAL_NAMES, localGroups, rows, tenant } from './arbitraries.js'
import { assertRights, loginLines, openBench, readingOf, restarted, told, type Bench } from './bench.js'
import { finalFailure, OUTLASTING, type Failure } from './failures.js'
import { holds } from './holds.js'
import type { Row } from './oracle.js'
import { createTenant, type LiveTenant } from './tenant.js'

t.test('after every login, groups and flags are what the mapping makes of the tenant, and nothing else', async (t) => {
  const bench = await openBench(t)
  const life = fc.record({
    tenant,
    rows,
    localGroups,
    hiccups,
    changes,
    later: fc.option(rows),
    laterHiccups: hiccups,
    otherBrowser: fc.boolean(),
  })
  await holds(
    t,
    life,
    500,
    async ({ tenant, rows, localGroups, hiccups, changes, later, laterHiccups, otherBrowser }) => {
      const person = bench.addPerson()
      const live = createTenant(bench.gateway.entra.directory, person, tenant)
      try {
        bench.door.pageSize = tenant.pageSize
        await bench.useLocalGroups(localGroups)
        const first = bench.newBrowser()
        for (const entry of hiccups) bench.gateway.entra.faults.add(entry)
        await loginAsTheOracleSays(bench, live, { rows: live.rows(rows), browser: first, logins: 1 })
        for (const change of changes) {
          live.change(change)
          await bench.byHand(person, change)
        }
        bench.gateway.entra.faults.clear() // what the first login had no page for would be one too many for the second
        for (const entry of laterHiccups) bench.gateway.entra.faults.add(entry)
        const second = otherBrowser ? bench.newBrowser() : first
        await loginAsTheOracleSays(bench, live, {
          rows: live.rows(later ?? rows),
          browser: second,
          others: otherBrowser ? [first] : [],
          logins: 2,
        })
      } finally {
        bench.gateway.entra.faults.clear()
        live.clear()
        bench.gateway.entra.directory.removeUser(person)
      }
    },
  )
})

async function loginAsTheOracleSays(
  bench: Bench,
  live: LiveTenant,
  { rows, browser, others = [], logins }: {
    rows: readonly Row[]
    browser: Browser
    others?: Browser[]
    logins: number
  },
): Promise<void> {
  const before = logins === 1 ? [] : (await bench.stored(live.person))?.groups ?? []
  const reading = readingOf(live.person, live)
  const mark = bench.gateway.log.length
  bench.useMapping(rows)
  const answer = await bench.signIn(browser, live.person)
  assert.equal(answer.status, 302, answer.text)
  assert.ok(!answer.location?.startsWith(bench.gateway.entra.url), 'signed in, not sent again')

  const { due, ...found } = await assertRights(bench, live.person, { reading, rows, browser, others })
  assert.deepEqual({ logins: found.logins, sessions: found.sessions }, { logins, sessions: 1 + others.length })
  const { summaries: [line, ...more], missing } = loginLines(bench, mark)
  assert.deepEqual(missing, due.missing)
  assert.equal(more.length, 0)
  assert.deepEqual(
    {
      user: line?.user,
      added: sorted(line?.groupsAdded),
      removed: sorted(line?.groupsRemoved),
      staff: line?.staff,
      superuser: line?.superuser,
      groups: line?.groups,
      missing: line?.missing,
      entraGroups: line?.entraGroups,
    },
    {
      user: found.username,
      added: due.groups.filter((name) => !before.includes(name)),
      removed: before.filter((name) => !due.groups.includes(name)),
      staff: due.staff,
      superuser: due.superuser,
      groups: due.groups.length,
      missing: due.missing.length,
      entraGroups: reading.length,
    },
  )
}

const sorted = (names: unknown) => [...names as string[]].sort()

t.test('a login that fails at any point changes nothing, and the next one is as if it had never been', async (t) => {
  const bench = await openBench(t)
  const known = await Promise.all([1, 2, 3].map(async () => await knownPerson(bench)))
  const attempt = fc.record({
    failure: finalFailure,
    at: fc.nat(),
    who: fc.nat({ max: 3 }),
    ownBrowser: fc.boolean(),
    tenant,
    rows,
  })
  await holds(t, attempt, 120, async ({ failure, at, who, ownBrowser, tenant, rows }) => {
    const { person, browser: own } = known[who] ?? { person: bench.addPerson(), browser: bench.newBrowser() }
    const live = createTenant(bench.gateway.entra.directory, person, tenant)
    const browser = ownBrowser ? own : bench.newBrowser()
    try {
      bench.door.pageSize = tenant.pageSize
      bench.useMapping(live.rows(rows))
      await failsWithoutTrace(bench, failure, {
        person,
        browser,
        page: 1 + at % live.pages(tenant.pageSize),
        watched: [...known.map((each) => each.browser), browser],
      })
      assert.deepEqual(bench.gateway.entra.faults.waiting(), [], `${failure.name} was met`)
      bench.gateway.entra.faults.clear()
      assert.equal((await bench.signIn(browser, person)).status, 302)
      await assertRights(bench, person, { reading: readingOf(person, live), rows: live.rows(rows), browser })
    } finally {
      bench.gateway.entra.faults.clear()
      live.clear()
    }
  })
})

t.test('a login whose retries all fail changes nothing', async (t) => {
  const patient = await openBench(t)
  const known = await knownPerson(patient)
  const bench = await restarted(patient, { entra: { loginBudget: '1s' } })
  const live = createTenant(bench.gateway.entra.directory, known.person, {
    kinds: ['group', 'group', 'group'],
    padding: 0,
    pageSize: 1,
    joins: [0, 1, 2],
    nests: [],
  })
  bench.door.pageSize = 1
  bench.useMapping(
    live.rows([{ of: 'object', object: 2, writing: 'lower', groups: LOCAL_NAMES, staff: true, superuser: true }]),
  )
  for (const failure of OUTLASTING) {
    await failsWithoutTrace(bench, failure, { ...known, page: 1, watched: [known.browser] })
    bench.gateway.entra.faults.clear()
    t.pass(failure.name)
  }
})

async function knownPerson(bench: Bench): Promise<{ person: string, browser: Browser }> {
  const person = bench.addPerson()
  const browser = bench.newBrowser()
  assert.equal((await bench.signIn(browser, person)).status, 302)
  await bench.byHand(person, { do: 'assign', name: LOCAL_NAMES[0] ?? '' })
  await bench.byHand(person, { do: 'flag', flag: 'staff', value: true })
  return { person, browser }
}

async function failsWithoutTrace(
  bench: Bench,
  failure: Failure,
  { person, browser, page, watched }: { person: string, browser: Browser, page: number, watched: readonly Browser[] },
): Promise<void> {
  const all = async () => ({
    tables: await bench.dump(),
    answers: await Promise.all(watched.map((each) => told(bench, each))),
  })
  const before = await all()
  bench.gateway.entra.faults.add(failure.entry(page))
  const answer = await bench.signIn(browser, person)
  if (failure.code === 'again') assert.ok(answer.location?.startsWith(`${bench.gateway.entra.url}/`), failure.name)
  else {
    assert.ok(answer.status >= 400, `${failure.name}: ${answer.status}`)
    assert.match((JSON.parse(answer.text) as { error: string }).error, failure.code, failure.name)
  }
  assert.deepEqual(await all(), before, failure.name)
}

t.test('the same login twice is the same as once, whatever the order of the rows', async (t) => {
  const bench = await openBench(t)
  const life = fc.record({ tenant, rows, localGroups, order: fc.infiniteStream(fc.nat()) })
  await holds(t, life, 30, async ({ tenant, rows, localGroups, order }) => {
    const person = bench.addPerson()
    const live = createTenant(bench.gateway.entra.directory, person, tenant)
    const browser = bench.newBrowser()
    const mapping = live.rows(rows)
    const keys = new Map(mapping.map((row) => [row, order.next().value]))
    const shuffled = [...mapping].sort((one, other) => (keys.get(one) ?? 0) - (keys.get(other) ?? 0))
    const rowsAfter = async (rows: readonly Row[]) => {
      bench.useMapping(rows)
      assert.equal((await bench.signIn(browser, person)).status, 302)
      await assertRights(bench, person, { reading: readingOf(person, live), rows, browser })
      return await bench.rowsWithoutTimes(person)
    }
    try {
      await bench.useLocalGroups(localGroups)
      const once = await rowsAfter(mapping)
      assert.deepEqual(await rowsAfter(mapping), once)
      assert.deepEqual(withoutCauses(await rowsAfter(shuffled)), withoutCauses(once))
      assert.deepEqual(await rowsAfter(mapping), once)
    } finally {
      live.clear()
    }
  })
})

const withoutCauses = (rows: unknown): unknown =>
  JSON.parse(JSON.stringify(rows, (key, value: unknown) => key.endsWith('cause') ? null : value))

t.test("twenty concurrent logins of a new person create one user with the latest snapshot's rights", async (t) => {
  const bench = await openBench(t)
  const crowd = fc.record({
    tenant,
    rows,
    turns: fc.array(changes, { maxLength: 10 }),
    name: fc.constantFrom('pat', "o'neil"),
  })
  await holds(t, crowd, 8, async ({ tenant, rows, turns, name }) => {
    const person = bench.addPerson(name)
    const live = createTenant(bench.gateway.entra.directory, person, tenant)
    const mapping = live.rows(rows)
    const browsers = Array.from({ length: 20 }, () => bench.newBrowser())
    const mark = bench.gateway.log.length
    try {
      bench.door.pageSize = tenant.pageSize
      bench.useMapping(mapping)
      const callbacks = await Promise.all(browsers.map((browser) => bench.toCallback(browser, person)))
      const coming = turns.values()
      bench.door.onQuestion = () => {
        for (const change of coming.next().value ?? []) live.change(change)
      }
      const answers = await Promise.all(browsers.map((browser, index) => browser.ask(callbacks[index] ?? '')))
      assert.deepEqual(answers.map(({ status }) => status), browsers.map(() => 302))

      const reading = (await bench.stored(person))?.reading ?? []
      const found = await assertRights(bench, person, {
        reading,
        rows: mapping,
        browser: browsers[0] ?? bench.newBrowser(),
        others: browsers.slice(1),
      })
      assert.deepEqual({
        sessions: found.sessions,
        logins: found.logins,
        lines: loginLines(bench, mark).summaries.length,
      }, { sessions: 20, logins: 20, lines: 20 })
      if (turns.length === 0) assert.deepEqual(reading, readingOf(person, live))
    } finally {
      bench.door.onQuestion = () => {}
      live.clear()
    }
  })
})

t.test('a login with an older Graph snapshot never overwrites a newer one, whichever commits first', async (t) => {
  const bench = await openBench(t)
  const race = fc.record({
    tenant,
    rows,
    changes,
    at: fc.nat(),
    moment: fc.constantFrom('asked' as const, 'answered' as const),
    lastPage: fc.boolean(),
    isKnown: fc.boolean(),
  })
  await holds(t, race, 60, async ({ tenant, rows, changes, at, moment, lastPage, isKnown }) => {
    const person = bench.addPerson()
    const live = createTenant(bench.gateway.entra.directory, person, tenant)
    const mapping = live.rows(rows)
    const [slow, quick] = [bench.newBrowser(), bench.newBrowser()]
    let release = () => {}
    try {
      bench.door.pageSize = tenant.pageSize
      bench.useMapping(mapping)
      if (isKnown) assert.equal((await bench.signIn(bench.newBrowser(), person)).status, 302)
      const count = live.pages(tenant.pageSize)
      const held = bench.door.hold({ moment, page: lastPage ? count : 1 + at % count })
      release = held.release
      const earlier = bench.signIn(slow, person)
      await Promise.race([
        held.reached,
        earlier.then(({ status }) => assert.fail(`answered ${status} without having asked for that page`)),
      ])
      for (const change of changes) live.change(change)
      const reading = readingOf(person, live)
      assert.equal((await bench.signIn(quick, person)).status, 302)
      await assertRights(bench, person, { reading, rows: mapping, browser: quick })
      release()
      assert.equal((await earlier).status, 302)
      await assertRights(bench, person, { reading, rows: mapping, browser: slow, others: [quick] })
    } finally {
      release()
      live.clear()
    }
  })
})
