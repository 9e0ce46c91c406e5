// `gatehouse explain` beside a running gateway: what it says comes true at the next login, and it changes nothing
// itself.
import { EventEmitter } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { stringify } from 'yaml'
import { byGravity, changeOfRights, isChange, rightsFrom, rowsHit } from '../src/core/explain.js'
import { createGroupMapping } from '../src/core/mapping.js'
import { withCommandProcess } from '../src/commands/command-process.js'
import { runCommand } from '../src/commands/program.js'
import { createProgress } from '../src/commands/progress.js'
import { DEMO_CLIENT_ID, DEMO_TENANT_ID, GROUP_IDS, PERSON_IDS } from '../src/demo/people.js'
import { migrate } from '../src/store/migrate.js'
import { runInProcess } from './helpers/command.js'
import { seedCrowd } from './helpers/crowd.js'
import { MAPPING, startTestGateway } from './helpers/gateway.js'
import { freshDatabase } from './helpers/postgres.js'
import { connect, dump } from './helpers/sql.js'
import { until } from './helpers/until.js'

t.test('explain', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-explain-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const gateway = await startTestGateway(t, {
    app: { applicationPermissions: ['User.Read.All', 'GroupMember.Read.All'] },
  })
  const query = await connect(t, gateway.databaseUrl)
  const write = (name: string, groupMapping: readonly unknown[]): string => {
    const { entra } = gateway.config
    writeFileSync(
      join(directory, name),
      stringify({
        server: { publicUrl: gateway.url },
        entra: {
          tenantId: entra.tenantId,
          clientId: entra.clientId,
          clientSecret: entra.clientSecret,
          authorityHost: entra.authorityHost,
          graphUrl: entra.graphUrl,
          allowHttp: true,
        },
        database: { url: gateway.databaseUrl },
        session: { secrets: [...gateway.config.session.secrets] },
        keys: { encryptionSecrets: [...gateway.config.keys.encryptionSecrets] },
        groupMapping,
      }),
    )
    return join(directory, name)
  }
  const config = write('gatehouse.yaml', MAPPING)
  const explain = (...args: string[]) => runInProcess(['explain', ...args, '--config', config])
  for (const person of ['staff', 'nested', 'guest', 'superuser'] as const) await gateway.signIn(PERSON_IDS[person])
  const before = await dump(query)
  gateway.entra.directory.addMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.nested)

  await t.test('a person: the rows hit, direct or nested, and the changes of a login', async (t) => {
    const { stdout, status } = await explain('nina.nested@contoso.example')
    t.equal(status, 0)
    t.match(stdout, new RegExp(`3 +${GROUP_IDS.networkEngineers} +nesting +Network Engineers, staff`))
    t.match(stdout, new RegExp(`1 +${GROUP_IDS.netboxSuperusers} +direct +NetBox Superusers, staff, superuser`))
    t.match(stdout, /would change: \+superuser \+NetBox Superusers/)
    const json = JSON.parse((await explain(PERSON_IDS.many, '--json')).stdout)
    t.match(json, {
      signedInBefore: false,
      entraGroups: 2500,
      groups: ['Circuit Manager'],
      change: { gained: ['Circuit Manager'], superuser: 0 },
    })
    t.match(
      JSON.parse(
        (await explain(gateway.entra.directory.users.get(PERSON_IDS.guest)?.userPrincipalName ?? '', '--json')).stdout,
      ),
      { user: 'gus.guest@fabrikam.example', signedInBefore: true, change: { gained: [], lost: [] } },
      'a guest, by the UPN that only Entra ID knows',
    )
    const nobody = await explain('nobody@nowhere.example')
    t.equal(nobody.status, 1)
    t.match(nobody.stderr, /404/)
  })

  // proves: adv-groups-read
  await t.test('the Entra groups that were read, with names, and the rows that none of them hits', async (t) => {
    const { stdout } = await explain('sam.staff@contoso.example')
    t.match(stdout, /ENTRA GROUP READ +NAME +ROW/)
    t.match(stdout, new RegExp(`${GROUP_IDS.networkEngineers} +Network Engineers +3`))
    t.match(stdout, `Row 1 is not hit: ${GROUP_IDS.netboxSuperusers}`)
    t.notMatch(stdout, 'Row 3 is not hit')
    const json = JSON.parse((await explain('sam.staff@contoso.example', '--json')).stdout) as {
      readonly memberships: readonly object[]
      readonly rowsNotHit: readonly { readonly row: number }[]
    }
    t.match(json.memberships[0], { entraGroup: GROUP_IDS.networkEngineers, name: String, rows: [3], nestedOnly: false })
    t.notOk(json.rowsNotHit.some(({ row }) => row === 3))
    t.ok(json.rowsNotHit.some(({ row }) => row === 1))
    const many = JSON.parse((await explain(PERSON_IDS.many, '--json')).stdout) as { readonly memberships: object[] }
    t.equal(many.memberships.length, 2500)
    t.match((await explain(PERSON_IDS.many)).stdout, /\.\.\. and 2480 more: --json lists all of them\./)

    const labelled = write('labelled.yaml', [
      { entraGroup: GROUP_IDS.networkEngineers, label: 'Engineers of the network', groups: ['Network Engineers'] },
    ])
    const byLabel = await runInProcess(['explain', 'sam.staff@contoso.example', '--config', labelled])
    t.match(
      byLabel.stdout,
      /1 +Engineers of the network +direct +Network Engineers/,
      'a label in place of the Object ID',
    )

    const args = [
      'access',
      'test',
      '--user',
      'sam.staff@contoso.example',
      '--method',
      'GET',
      'https://app.example.com/',
      '--config',
      config,
    ]
    const tested = await runInProcess(args)
    t.match(
      tested.stdout,
      new RegExp(`Memberships in Entra ID of sam\\.staff@contoso\\.example at .*\n.*\n${GROUP_IDS.networkEngineers}`),
    )
    t.match(tested.stdout, `Row 1 is not hit: ${GROUP_IDS.netboxSuperusers}`)
    const asJson = JSON.parse((await runInProcess([...args, '--json'])).stdout) as object
    t.match(asJson, { entra: { readAt: String, memberships: [{ rows: [3] }], rowsNotHit: [{ row: 1 }] } })
  })

  await t.test('given Entra groups', async (t) => {
    const { stdout } = await explain('--entra-groups', `${GROUP_IDS.readOnly.toUpperCase()}, ${GROUP_IDS.netboxAdmins}`)
    t.match(stdout, /Groups: NetBox Admins, Read Only; staff yes; superuser no/)
    t.equal((await explain('--entra-groups', 'NetBox Admins')).status, 1)
    t.match((await explain('--entra-groups', 'NetBox Admins')).stderr, /Object ID/)
  })

  await t.test('all users under another configuration, new superusers first, from the store or Graph', async (t) => {
    const next = write('next.yaml', [
      { entraGroup: GROUP_IDS.readOnly, groups: ['Read Only'], superuser: true },
      { entraGroup: GROUP_IDS.networkEngineers, groups: ['Circuit Manager'] },
      { entraGroup: GROUP_IDS.netboxSuperusers, groups: ['NetBox Superusers'], staff: true, superuser: true },
    ])
    const { stdout } = await explain('--with', next)
    const lines = stdout.split('\n')
    t.match(lines[1], /gus\.guest@fabrikam\.example +GAINS/)
    t.match(lines[2], /nina\.nested@contoso\.example +loses +Circuit Manager +Network Engineers/)
    t.match(stdout, /3 of 4 people would change \(from each person's last reading, the oldest of 20\d\d-/)
    const live = JSON.parse((await explain('--with', next, '--live', '--json')).stdout)
    t.match(live.changes.find((each: { username: string }) => each.username.startsWith('nina')), {
      change: { superuser: 1, gained: ['Circuit Manager', 'NetBox Superusers'], lost: ['Network Engineers'] },
    })
    const gus = gateway.entra.directory.users.get(PERSON_IDS.guest)
    if (gus) gus.accountEnabled = false
    const without = JSON.parse((await explain('--with', next, '--live', '--json')).stdout)
    t.match(without, { people: 4, changed: live.changed - 1, unavailable: 1, live: true })
    t.notMatch(JSON.stringify(without.changes), /gus\.guest/, 'a disabled account cannot sign in')
    t.match(
      (await explain('--with', next, '--live')).stdout,
      /\n1 of them cannot sign in: the account is disabled or deleted in Entra ID\./,
    )
    if (gus) gus.accountEnabled = true
    gateway.entra.faults.add({
      on: 'graph',
      path: new RegExp(`/users/${PERSON_IDS.staff}/transitiveMemberOf`),
      times: 1,
      then: { kind: 'status', status: 500, body: {} },
    })
    const failed = await explain('--with', next, '--live')
    t.equal(failed.status, 1, 'no preview without a person who cannot be read')
    t.match(failed.stderr, /Graph answered 500/)
    gateway.entra.requests.splice(0)
    await explain('--with', next, '--live')
    t.equal(gateway.entra.requests.filter(({ path }) => path.endsWith('$batch')).length, 1, 'four people, one request')
    t.match((await explain('--with', config)).stdout, /No user would gain or lose anything/)
    t.equal((await explain('--with', join(directory, 'none.yaml'))).status, 78)
  })

  await t.test('nothing was changed, and a login has the predicted effect', async (t) => {
    t.equal(await dump(query), before)
    const { browser } = await gateway.signIn(PERSON_IDS.nested)
    t.equal((await gateway.ask('/oauth2/auth', { browser })).headers.get('x-auth-request-superuser'), 'true')
  })

  await t.test('without the application permission the remedy names it; wrong usage exits with 2', async (t) => {
    gateway.entra.app.applicationPermissions = []
    const refused = await explain('nina.nested@contoso.example')
    t.equal(refused.status, 1)
    t.match(refused.stderr, /User\.Read\.All and GroupMember\.Read\.All/)
    for (const args of [[], ['x', '--entra-groups', GROUP_IDS.readOnly], ['x', '--live']]) {
      t.equal((await explain(...args)).status, 2)
    }
  })
})

t.test('with many changes people see the gravest and what they come to, and programs see all', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  await seedCrowd(query, 2_600)
  const [mapped, other] = [GROUP_IDS.readOnly, GROUP_IDS.circuitManagers]
  await query(`update entra_readings set group_ids = array['${other.toUpperCase()}', '${mapped}']::uuid[]`)
  await query("delete from user_groups; update users set is_staff = false, is_superuser = username like '%2500@%'")
  const file = (name: string, groupMapping: readonly unknown[]) => {
    const path = join(t.testdirName, name)
    const text = stringify({
      server: { publicUrl: 'http://127.0.0.1:4180' },
      entra: { tenantId: DEMO_TENANT_ID, clientId: DEMO_CLIENT_ID, clientSecret: 'x~yz' },
      database: { url },
      session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
      keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
      groupMapping,
    })
    writeFileSync(path, text)
    return path
  }
  t.testdir()
  const config = file('now.yaml', [])
  const next = file('next.yaml', [{ entraGroup: mapped.toUpperCase(), groups: ['Group 1', 'Group 2'] }])
  const explain = (...args: string[]) => runInProcess(['explain', '--with', next, ...args, '--config', config])

  const { stdout, stderr } = await explain()
  t.equal(stderr, '', 'no progress but on a terminal')
  const lines = stdout.trimEnd().split('\n')
  t.equal(lines.filter((line) => line.startsWith('U00')).length, 1_000)
  t.match(lines[1], /^U0002500@corp\.test +loses +Group 1, Group 2/)
  t.match(lines[2], /^U0000001@corp\.test +Group 1, Group 2/)
  t.strictSame(lines.slice(1_001).map((line) => line.replace(/ +/g, ' ')), [
    'These are the 1000 gravest changes; --json prints all of them. All together:',
    'RIGHT GAIN IT LOSE IT',
    'superuser 0 1',
    'Group 1 2600 0',
    'Group 2 2600 0',
    lines.at(-1),
  ])
  t.match(lines.at(-1), /^2600 of 2600 people would change \(/)

  const json = (await explain('--json')).stdout
  const all = JSON.parse(json) as { people: number, changed: number, changes: { username: string }[] }
  t.equal(json, `${JSON.stringify(all, null, 2)}\n`)
  t.match(all, { people: 2_600, changed: 2_600, live: false, oldestReading: /^20/ })
  t.equal(new Set(all.changes.map(({ username }) => username)).size, 2_600)
  t.equal(all.changes.filter(({ username }) => username.includes('2500@')).length, 1)
  const nothing = await runInProcess(['explain', '--with', config, '--json', '--config', config])
  t.match(JSON.parse(nothing.stdout), { people: 2_600, changed: 1, changes: [{ change: { superuser: -1 } }] })
})

t.test('a preview as JSON keeps no change in memory: a page is read once the one before was taken', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  await seedCrowd(await connect(t, url), 2_600)
  t.testdir()
  const config = join(t.testdirName, 'now.yaml')
  writeFileSync(
    config,
    stringify({
      server: { publicUrl: 'http://127.0.0.1:4180' },
      entra: { tenantId: DEMO_TENANT_ID, clientId: DEMO_CLIENT_ID, clientSecret: 'x~yz' },
      database: { url },
      session: { secrets: ['q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'] },
      keys: { encryptionSecrets: ['z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'] },
      groupMapping: [],
    }),
  )
  let users = 0
  const stdout = Object.assign(new EventEmitter(), {
    writableNeedDrain: true,
    write: (text: string) => {
      users += text.match(/"username"/g)?.length ?? 0
    },
  })
  const running = runCommand(['explain', '--with', config, '--json', '--config', config], {
    stdout,
    stderr: { write: () => {} },
    env: process.env,
  })
  await until(() => stdout.listenerCount('drain') > 0 && users > 0)
  await sleep(500)
  t.equal(users, 1_000, 'the reader has not taken the first page')
  stdout.emit('error')
  t.equal(await running, 0)
  t.equal(users, 1_000, 'the rest is not read: the reader has gone')
})

t.test('progress is one line on a terminal, which is taken away at the end', async (t) => {
  const shown = async (stderr: { isTTY?: boolean }, env: NodeJS.ProcessEnv = {}) => {
    const written: string[] = []
    const out = { write: (text: string) => written.push(text) }
    let now = 0
    await withCommandProcess({ stdout: out, stderr: { ...out, ...stderr }, env }, async () => {
      const progress = createProgress('users read', async () => 5_000, () => now)
      for (
        const [at, done] of [[0, 1], [999, 2], [1_000, 300], [1_100, 310], [1_200, 4_000], [9_000, 5_001]] as const
      ) {
        now = at
        await progress.at(done)
      }
      progress.end()
    })
    return written
  }
  const line = (text: string) => `\r\u001b[K${text}`
  t.strictSame(await shown({ isTTY: true }), [
    line('300 of about 5000 users read'),
    line('4000 of about 5000 users read'),
    line('5001 of about 5001 users read'),
    line(''),
  ])
  t.strictSame(await shown({ isTTY: false }), [])
  t.strictSame(await shown({ isTTY: true }, { TERM: 'dumb' }), [])
})

t.test('a dry run has the same result as the mapping of a login', async (t) => {
  const id = fc.integer({ min: 0, max: 9 }).map((digit) => `00000000-0000-0000-0000-00000000000${digit}`)
  const row = fc.record({
    entraGroup: fc.oneof(id, id.map((each) => each.toUpperCase())),
    groups: fc.uniqueArray(fc.constantFrom('A', 'B', 'C')),
    staff: fc.boolean(),
    superuser: fc.boolean(),
  })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.uniqueArray(row, { selector: (each) => each.entraGroup.toLowerCase() }),
        fc.array(id),
        (rows, held) => {
          const hits = rowsHit(rows, held)
          const outcome = rightsFrom(createGroupMapping(rows), held, (name) => name !== 'C')
          const named = new Set(hits.flatMap((hit) => hit.groups))
          const nothing = { groups: [], staff: false, superuser: false }
          return outcome.groups.join() === [...named].filter((name) => name !== 'C').sort().join() &&
            outcome.missing.join() === (named.has('C') ? 'C' : '') &&
            outcome.staff === hits.some((hit) => hit.staff) &&
            outcome.superuser === hits.some((hit) => hit.superuser) &&
            !isChange(changeOfRights(outcome, outcome)) &&
            (outcome.superuser ||
              byGravity(changeOfRights(nothing, { ...nothing, superuser: true }), changeOfRights(nothing, outcome)) < 0)
        },
      ),
      { numRuns: 500 },
    )
  )
})
