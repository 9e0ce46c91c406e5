// Names on a real PostgreSQL: who is found by which name, and who gets a name that somebody else had.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { LoginCommit } from '../../src/core/login.js'
import { newPublicSessionId, newSessionId } from '../../src/core/session.js'
import { usernameKey } from '../../src/core/user.js'
import { openDatabase, type Database } from '../../src/store/database.js'
import { createLoginStore } from '../../src/store/login-store.js'
import { migrate } from '../../src/store/migrate.js'
import type { PeopleStore } from '../../src/core/people.js'
import { createPeopleStore } from '../../src/store/people.js'
import { createReevaluationWriter } from '../../src/store/reevaluation-writer.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, type Query } from '../helpers/sql.js'
import { createUserAdmin, type UserAdmin, createUsernames, type Usernames } from '../helpers/acts.js'

const TIMEOUTS = { idleTimeoutMs: 3_600_000, absoluteTimeoutMs: 7_200_000, privilegedTimeoutMs: undefined }
const LIMITS = { ...TIMEOUTS, maxPerUser: 50 }
const TENANT = '11111111-1111-4111-8111-111111111111'
const OTHER_TENANT = '22222222-2222-4222-8222-222222222222'
const oidOf = (last: number): string => `33333333-3333-4333-8333-33333333330${last}`

interface Scene {
  readonly database: Database
  readonly query: Query
  readonly people: PeopleStore
  readonly admin: UserAdmin
  readonly names: Usernames
}

async function scene(t: Test, isolation = 'read committed'): Promise<Scene> {
  const url = await freshDatabase(t)
  await migrate(url)
  const byDefault = `set default_transaction_isolation = '${isolation}'`
  await (await connect(t, url))(`alter database ${new URL(url).pathname.slice(1)} ${byDefault}`)
  const database = openDatabase({ server: url, poolSize: 4 })
  t.teardown(() => database.close())
  return {
    database,
    query: await connect(t, url),
    people: createPeopleStore(database, TIMEOUTS),
    admin: createUserAdmin(database),
    names: createUsernames(database),
  }
}

interface Person {
  readonly username: string
  readonly email?: string
  /** The last digit of the object ID. */
  readonly last?: number
  readonly tid?: string
  readonly upn?: string
}

let flows = 0

/** The first sign-in of somebody for whom the steps chose this username. */
function firstLogin({ username, email, last = 1, tid = TENANT, upn }: Person): LoginCommit {
  const uid = { tid, oid: oidOf(last) }
  const profile = { name: null, givenName: null, familyName: null }
  return {
    plan: {
      details: { email: email ?? null, emailVerified: false, usernameSource: username, ...profile },
      uid,
      origin: 'created',
      username,
      newAssociation: true,
      profile,
      extraData: { sid: null, loginHint: null, guest: false, upn: upn ?? null },
      grants: { groups: [], missing: [], staff: [], superuser: [] },
    },
    person: {
      claims: { ...uid, sub: 'x', iat: 0 },
      memberships: { groupIds: [], readAt: '2026-11-22T00:00:00Z', requests: 1 },
    },
    session: { id: newSessionId(), publicId: newPublicSessionId(), replaces: undefined, sibling: false },
    flow: Buffer.from(`flow ${flows++}`),
    correlationId: 'x',
    client: '192.0.2.10',
    requireMappedGroup: false,
  }
}

async function signIn({ database }: Scene, person: Person): Promise<string> {
  const outcome = await createLoginStore(database, LIMITS).commit(firstLogin(person))
  return outcome === 'outdated' ? outcome : outcome.userId ?? 'refused'
}

t.test('whom a name means', async (t) => {
  const all = await scene(t)
  const { people, query } = all
  const guest = 'gus_fabrikam.example#EXT#@contoso.example'
  const gus = await signIn(all, { username: 'gus', last: 1, upn: guest })
  const obrien = { username: 'obrien@x.example', upn: "O'Brien@x.example", email: 'brian@x.example' }
  const brian = await signIn(all, { ...obrien, last: 2 })
  const zoe = await signIn(all, { username: 'zo', last: 3, upn: 'Zoë@x.example', email: 'office@x.example' })
  const ann = await signIn(all, { username: 'Ann@x.example', last: 4, upn: 'ann@x.example', email: 'office@x.example' })

  // proves: adv-found-by-upn, adv-upn-any-case
  await t.test('any username, UPN, e-mail or id, without case and with any character', async (t) => {
    const meant: readonly (readonly [string, ...string[]])[] = [
      [gus, 'gus', 'GUS', guest, guest.toUpperCase(), oidOf(1), gus],
      [brian, 'obrien@x.example', "o'brien@x.example", "O'BRIEN@X.EXAMPLE", 'Brian@x.example', oidOf(2)],
      [zoe, 'zo', 'zoë@x.example', 'ZOË@X.EXAMPLE', 'zoe\u0308@x.example'],
      [ann, 'ann@x.example', 'ANN@x.example'],
    ]
    for (const [id, ...names] of meant) for (const name of names) t.equal((await people.find(name)).id, id, name)
    for (const name of ['', 'nobody', '%', 'gus_', 'gus_fabrikam.example#EXT#', oidOf(9)]) {
      await t.rejects(people.find(name), { code: 'user_unknown' }, name)
    }
  })

  // proves: adv-username-before-upn
  await t.test('the username before the UPN, the UPN before the e-mail, the e-mail before an id', async (t) => {
    const upn = await signIn(all, { username: 'u5', last: 5, upn: 'gus' })
    const mail = await signIn(all, { username: 'u6', last: 6, upn: 'u6@x.example', email: 'GUS' })
    t.equal((await people.find('gus')).id, gus)
    await query("update users set username = 'other', username_key = 'other' where id = $1", [gus])
    t.equal((await people.find('gus')).id, upn)
    await query('update identities set upn = null, upn_key = null where user_id = $1', [upn])
    t.equal((await people.find('gus')).id, mail)
    await query('update users set email = $1 where id = $2', [oidOf(1), mail])
    t.equal((await people.find(oidOf(1))).id, mail)
    await query('delete from users where id in ($1, $2)', [upn, mail])
    await query("update users set username = 'gus', username_key = 'gus' where id = $1", [gus])
  })

  // proves: adv-ambiguous-refused
  await t.test('an address of two people, or a UPN in two tenants, is an error that names both', async (t) => {
    const message = new RegExp(`names 2 users: Ann@x\\.example \\(${ann}\\), zo \\(${zoe}\\)`)
    await t.rejects(people.find('office@x.example'), { code: 'user_ambiguous', message, remedy: /id/ })
    const twin = await signIn(all, { username: 'twin', last: 1, tid: OTHER_TENANT, upn: guest })
    const both = new RegExp(`gus \\(${gus}\\).*twin \\(${twin}\\)`)
    await t.rejects(people.find(guest), { code: 'user_ambiguous', message: both })
    await query('delete from users where id = $1', [twin])
  })

  // proves: adv-upn-sent-last
  await t.test('in one tenant, the account of which Entra ID said the UPN last', async (t) => {
    const heir = await signIn(all, { username: 'heir', last: 7, upn: guest })
    t.equal((await people.find(guest)).id, heir)
    t.same((await people.find('gus')).identities, [{
      tid: TENANT,
      oid: oidOf(1),
      upn: guest,
      upnSeenAt: (await people.find('gus')).identities[0]?.upnSeenAt,
    }], 'and what was said of the other one stays to be seen')
    await query('delete from users where id = $1', [heir])
  })

  await t.test('a username that is the UPN of another user comes with a note', async (t) => {
    const again = await signIn(all, { username: 'ann-8', last: 8, upn: 'ANN@x.example' })
    const { id, namesakes } = await people.find('ann@x.example')
    t.same({ id, namesakes }, { id: ann, namesakes: ['ann-8'] })
    t.same((await people.find('ann-8')).namesakes, [])
    await query('delete from users where id = $1', [again])
  })
})

t.test('the UPN that Entra ID said last is kept', async (t) => {
  const all = await scene(t)
  const { database, query, people } = all
  const id = await signIn(all, { username: 'abe', upn: 'abe@x.example' })
  const known = await createLoginStore(database, LIMITS).userByIdentity(TENANT, oidOf(1))
  const again = async (upn: string | null): Promise<unknown> => {
    const login = firstLogin({ username: 'abe' })
    const plan = { ...login.plan, origin: 'known' as const, newAssociation: false, user: known ?? { id } as never }
    const extraData = { ...login.plan.extraData, upn }
    return await createLoginStore(database, LIMITS).commit({ ...login, plan: { ...plan, extraData } })
  }
  const upnNow = async () => (await people.find('abe')).identities[0]?.upn

  // proves: adv-upn-kept
  await t.test('by a sign-in, unless it does not say', async (t) => {
    await again('abraham@x.example')
    t.equal(await upnNow(), 'abraham@x.example')
    t.equal((await people.find('ABRAHAM@x.example')).id, id)
    await t.rejects(people.find('abe@x.example'), { code: 'user_unknown' })
    await again(null)
    t.equal(await upnNow(), 'abraham@x.example')
  })

  // proves: adv-upn-by-sync, adv-upn-given-back
  await t.test('by a re-evaluation, written only when it is news', async (t) => {
    const store = createReevaluationWriter(database)
    const person = { userId: id, username: 'abe', oid: oidOf(1) }
    const grants = { groups: [], missing: [], staff: [], superuser: [] }
    const apply = async (upn: string | undefined): Promise<unknown> => {
      const mapped = { groupIds: [], sessionsValidFrom: null, grants, requireMappedGroup: false, upn }
      return await store.apply(person, { readAt: await store.now(), correlationId: 'x' }, mapped)
    }
    const version = async () => (await query('select xmin::text from identities where user_id = $1', [id]))[0]?.xmin
    await apply('abe_x.example#EXT#@y.example')
    t.equal(await upnNow(), 'abe_x.example#EXT#@y.example')
    const before = await version()
    await apply('abe_x.example#EXT#@y.example')
    await apply(undefined)
    t.equal(await version(), before)
    const thief = await signIn(all, { username: 'thief', last: 2, upn: 'abe_x.example#EXT#@y.example' })
    t.equal((await people.find('ABE_x.example#EXT#@y.example')).id, thief)
    await apply('abe_x.example#EXT#@y.example')
    t.equal((await people.find('abe_x.example#EXT#@y.example')).id, id, 'it was given back')
  })
})

t.test('a name with a previous holder', async (t) => {
  const all = await scene(t)
  const { admin, names, query } = all
  const add = async (username: string): Promise<string> => {
    await admin.add({ username }, 'cli:t')
    return (await all.people.find(username)).id
  }
  const released = 'update retired_usernames set released_at = released_at'
  const age = (days: number) => query(`${released} - $1 * interval '1 day'`, [days])
  const taken = async (t: Test, username: string): Promise<void> => {
    await t.rejects(admin.add({ username }, 'cli:t'), { code: 'username_taken' })
    t.equal(await createLoginStore(all.database, LIMITS).usernameTaken(usernameKey(username)), true)
    t.equal(await signIn(all, { username, last: 9 }), 'outdated')
  }
  const last = async () => (await query('select * from audit_events order by id desc limit 1'))[0]

  // proves: adv-removed-name-reserved
  await t.test('by a removal is kept for good, also from the same person', async (t) => {
    await admin.remove(await signIn(all, { username: 'gone', last: 1 }), 'cli:t')
    await age(1_000)
    await taken(t, 'GONE')
    t.equal(await signIn(all, { username: 'gone', last: 1 }), 'outdated')
  })

  // proves: adv-released-after-days, adv-release-recorded, adv-taken-name-not-released
  await t.test('and that was released goes to others after 180 days, and the release is recorded once', async (t) => {
    await admin.remove(await signIn(all, { username: 'left', last: 3 }), 'cli:t')
    const from = await names.release('Left', { now: false }, 'cli:t')
    t.ok(Math.abs(Date.parse(String(from)) - Date.now() - 180 * 86_400_000) < 60_000, String(from))
    const detail = { username: 'Left', now: false, availableFrom: from }
    t.match(await last(), { action: 'user.release', actor: 'cli:t', detail })
    const events = await query('select 1 from audit_events')
    await taken(t, 'left')
    await age(10)
    const again = await names.release('left', { now: false }, 'cli:t')
    t.ok(Date.parse(String(again)) < Date.parse(String(from)), 'the time goes on')
    t.equal((await query('select 1 from audit_events')).length, events.length)
    await age(169)
    await taken(t, 'left')
    await age(1)
    t.equal(await names.release('left', { now: false }, 'cli:t'), null)
    const heir = await signIn(all, { username: 'left', last: 2 })
    t.not(heir, 'outdated')
    t.same(await query("select 1 from retired_usernames where username_key = 'left'"), [])
    await admin.remove(heir, 'cli:t')
    await taken(t, 'left')
    t.pass('and is reserved anew when its new holder is removed')
  })

  await t.test('and that is released now goes to others now', async (t) => {
    await admin.remove(await add('quit'), 'cli:t')
    t.equal(await names.release('quit', { now: true }, 'cli:t'), null)
    t.match(await last(), { action: 'user.release', detail: { username: 'quit', now: true, availableFrom: null } })
    await t.rejects(names.release('quit', { now: true }, 'cli:t'), { code: 'username_not_reserved' })
    await add('quit')
    await t.rejects(names.release('quit', { now: true }, 'cli:t'), { code: 'username_taken', remedy: /users rename/ })
  })

  // proves: adv-renamed-name-kept, adv-own-former-name, adv-rename-recorded
  await t.test('before a rename goes to others after 180 days or a release, and back at any time', async (t) => {
    const id = await add('kim')
    t.equal(await names.rename(id, 'kim2', 'cli:t'), 'kim')
    t.match(await last(), {
      action: 'user.rename',
      actor: 'cli:t',
      user_id: id,
      username: 'kim2',
      detail: { before: { username: 'kim' }, after: { username: 'kim2' } },
    })
    await taken(t, 'kim')
    const other = await add('lee')
    await t.rejects(names.rename(other, 'Kim', 'cli:t'), { code: 'username_taken', remedy: /users release/ })
    await t.rejects(names.rename(other, 'KIM2', 'cli:t'), { code: 'username_taken' })
    t.equal(await names.rename(id, 'kim', 'cli:t'), 'kim2', 'back to the same person')
    await taken(t, 'kim2')
    const from = await names.release('kim2', { now: false }, 'cli:t')
    t.ok(Date.parse(String(from)) > Date.now(), 'released already by the rename')
    await age(180)
    t.equal(await names.rename(other, 'kim2', 'cli:t'), 'lee')
    t.equal(await names.rename(id, 'Kim3', 'cli:t'), 'kim')
    t.equal(await names.release('kim', { now: true }, 'cli:t'), null)
    t.equal(await names.rename(other, 'kim', 'cli:t'), 'kim2')
    await admin.remove(other, 'cli:t')
    await taken(t, 'kim')
    const left = await query('select e::text as row from audit_events e where user_id = $1', [other])
    t.notMatch(left.map(({ row }) => row).join(), /kim|lee/, 'the record of somebody removed names none of their names')
  })

  await t.test('and that is spelled otherwise: letter case is changed, the same name is no change', async (t) => {
    const id = await add('ann')
    t.equal(await names.rename(id, 'Ann', 'cli:t'), 'ann')
    const events = await query('select 1 from audit_events')
    t.equal(await names.rename(id, 'Ann', 'cli:t'), undefined)
    t.equal((await query('select 1 from audit_events')).length, events.length)
    t.same(await query("select 1 from retired_usernames where username_key = 'ann'"), [])
    for (const name of ['', 'a b', 'a:b', 'x'.repeat(151), 'a\u202eb']) {
      await t.rejects(names.rename(id, name, 'cli:t'), { code: 'username_invalid' }, JSON.stringify(name))
    }
    await t.rejects(names.rename(oidOf(0), 'x', 'cli:t'), { code: 'user_unknown' })
  })
})

// proves: adv-rename-to-kept, adv-add-to-kept, adv-login-to-kept, adv-name-any-isolation
t.test('a name is not reassigned while its holder is removed or renamed, at any isolation level', async (t) => {
  const all = await scene(t, 'repeatable read')
  const { query, admin, names } = all
  const waiting = async (): Promise<void> => {
    const blocked = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    for (let each = 0; each < 200 && (await query(blocked)).length === 0; each++) await sleep(20)
    t.equal((await query(blocked)).length, 1, 'the other one waits')
  }
  for (
    const [what, change] of [
      ['removed', 'delete from users where username_key = $1'],
      ['renamed', "update users set username = 'away', username_key = 'away' where username_key = $1"],
    ] as const
  ) {
    const takers: Record<string, (username: string) => Promise<unknown>> = {
      'a sign-in': (username) => signIn(all, { username, last: 5 }),
      'users add': (username) => admin.add({ username }, 'cli:t'),
      'users rename': async (username) => await names.rename((await all.people.find('taker')).id, username, 'cli:t'),
    }
    for (const [who, take] of Object.entries(takers)) {
      await t.test(`${what}, by ${who}`, async (t) => {
        await query('delete from users')
        await query('delete from retired_usernames')
        for (const name of ['holder', 'taker']) await admin.add({ username: name }, 'cli:t')
        await query('begin isolation level read committed')
        await query("insert into retired_usernames (username_key) values ('holder')")
        await query(change, ['holder'])
        const taking = take('holder').catch((error: unknown) => (error as { code?: string }).code)
        await waiting()
        await query('commit')
        t.match(await taking, /^(outdated|username_taken)$/)
        t.same(await query("select 1 from users where username_key = 'holder'"), [])
      })
    }
  }
})
