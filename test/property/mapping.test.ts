// The heart of the product against an oracle: whatever the tenant, the mapping table and the past look like, a login
// leaves exactly what the contract says, and a login that fails leaves everything as it was.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { createBrowser, type Browser } from '../helpers/browser.js'
import { stopPostgres } from '../helpers/postgres.js'
import { changes, hiccups, localGroups, pageSize, rows, tenant } from './arbitraries.js'
import { assertRights, holds, loginLines, openBench, readingOf, type Bench } from './bench.js'
import { verdict, type Row } from './oracle.js'
import { createTenant, type LiveTenant } from './tenant.js'

t.setTimeout(900_000)
t.teardown(stopPostgres)

t.test('after every login, groups and flags are what the mapping makes of the tenant, and nothing else', async (t) => {
  const bench = await openBench(t)
  const life = fc.record({ tenant, rows, localGroups, pageSize, hiccups, changes, later: fc.option(rows), laterHiccups: hiccups, otherBrowser: fc.boolean() })
  await holds(t, life, 500, async ({ tenant, rows, localGroups, pageSize, hiccups, changes, later, laterHiccups, otherBrowser }) => {
    const person = bench.addPerson()
    const live = createTenant(bench.gateway.entra.directory, person, tenant)
    try {
      bench.door.pageSize = pageSize
      await bench.useLocalGroups(localGroups)
      const first = createBrowser()
      for (const entry of hiccups) bench.gateway.entra.faults.add(entry)
      await loginAsTheOracleSays(bench, live, { rows: live.rows(rows), browser: first, logins: 1 })
      for (const change of changes) {
        live.change(change)
        await bench.byHand(person, change)
      }
      for (const entry of laterHiccups) bench.gateway.entra.faults.add(entry)
      const second = otherBrowser ? createBrowser() : first
      await loginAsTheOracleSays(bench, live, { rows: live.rows(later ?? rows), browser: second, others: otherBrowser ? [first] : [], logins: 2 })
    } finally {
      bench.gateway.entra.faults.clear()
      live.clear()
      bench.gateway.entra.directory.removeUser(person)
    }
  })
})

async function loginAsTheOracleSays(bench: Bench, live: LiveTenant, { rows, browser, others = [], logins }: { rows: readonly Row[], browser: Browser, others?: Browser[], logins: number }): Promise<void> {
  const before = (await bench.stored(live.person))?.groups ?? []
  const reading = readingOf(live.person, live)
  const due = verdict(reading, rows, await bench.localGroups())
  const mark = bench.gateway.log.length
  bench.useMapping(rows)
  const answer = await bench.signIn(browser, live.person)
  assert.equal(answer.status, 302, answer.text)

  const found = await assertRights(bench, live.person, { reading, rows, browser, others })
  assert.deepEqual({ logins: found.logins, sessions: found.sessions }, { logins, sessions: 1 + others.length })
  const { summaries: [line, ...more], missing } = loginLines(bench, mark)
  assert.deepEqual(missing, due.missing)
  assert.equal(more.length, 0)
  assert.deepEqual(
    { user: line?.user, added: sorted(line?.groupsAdded), removed: sorted(line?.groupsRemoved), staff: line?.staff, superuser: line?.superuser, groups: line?.groups, missing: line?.missing, entraGroups: line?.entraGroups },
    { user: found.username, added: due.groups.filter((name) => !before.includes(name)), removed: before.filter((name) => !due.groups.includes(name)), staff: due.staff, superuser: due.superuser, groups: due.groups.length, missing: due.missing.length, entraGroups: reading.length })
}

const sorted = (names: unknown) => [...names as string[]].sort()
