// Who was superuser at an instant, from the audit: against a model, and with real sign-ins.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import type { UsernameCursor } from '../../src/core/overview.js'
import { allPages } from '../../src/core/page.js'
import { GROUP_IDS, PERSON_IDS } from '../../src/demo/people.js'
import { openDatabase } from '../../src/store/database.js'
import { migrate } from '../../src/store/migrate.js'
import { createOverviewReader } from '../../src/store/overview-reads.js'
import { startTestGateway } from '../helpers/gateway.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect } from '../helpers/sql.js'

const TIMEOUTS = { idleTimeoutMs: 8 * 3_600_000, absoluteTimeoutMs: 86_400_000, privilegedTimeoutMs: undefined }

const START = Date.UTC(2026, 10, 1)
const STEPS = 12
const minute = (step: number) => new Date(START + step * 60_000)

type Step = 'superuser' | 'staff' | 'active' | 'nothing'

interface Timeline {
  readonly created: number
  readonly steps: readonly Step[]
}

const timeline = fc.record({
  created: fc.integer({ min: 0, max: STEPS }),
  steps: fc.array(fc.constantFrom<Step>('superuser', 'superuser', 'staff', 'active', 'nothing'), {
    minLength: STEPS,
    maxLength: STEPS,
  }),
})

interface State {
  readonly superuser: boolean
  readonly staff: boolean
  readonly active: boolean
}

/** The rows that sign-ins, re-evaluations and administrators write: flags where one of them changes. */
function played({ created, steps }: Timeline) {
  let state: State = { superuser: false, staff: false, active: true }
  let since: Date | undefined
  const rows: { at: Date, action: string, before: object }[] = []
  const states: (State | undefined)[] = []
  for (const [index, step] of steps.entries()) {
    if (index >= created && step !== 'nothing') {
      const { superuser, staff, active } = state
      const at = minute(index)
      if (step === 'active') rows.push({ at, action: active ? 'user.deactivate' : 'user.activate', before: { active } })
      else rows.push({ at, action: 'login', before: { staff, superuser } })
      state = { ...state, [step]: !state[step] }
      if (step === 'superuser') since = state.superuser ? at : undefined
    }
    states.push(index >= created ? state : undefined)
  }
  return { rows, states, final: state, since, createdAt: minute(created) }
}

t.test('at every instant it lists those who were active superusers then', async (t) => {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  const { superusersAt } = createOverviewReader(database, TIMEOUTS)
  let runs = 0
  let listed = 0
  await fc.assert(
    fc.asyncProperty(fc.array(timeline, { minLength: 1, maxLength: 6 }), async (timelines) => {
      const names = timelines.map((_each, index) => `r${runs}-${index}`)
      runs++
      await query('delete from users')
      const all = timelines.map(played)
      for (const [index, { rows, final, since, createdAt }] of all.entries()) {
        const [{ id = '' } = {}] = await query<{ id: string }>(
          `insert into users (username, username_key, is_superuser, is_staff, is_active, superuser_since, created_at)
            values ($1, $1, $2, $3, $4, $5, $6) returning id`,
          [names[index], final.superuser, final.staff, final.active, since, createdAt],
        )
        for (const { at, action, before } of rows) {
          await query('insert into audit_events (at, action, actor, user_id, detail) values ($1, $2, $3, $4, $5)', [
            at,
            action,
            'test',
            id,
            { before },
          ])
        }
      }
      for (let step = 0; step < STEPS; step++) {
        const expected = names.filter((_name, index) => {
          const then = all[index]?.states[step]
          return then?.superuser === true && then.active
        })
        const at = new Date(minute(step).getTime() + 30_000)
        const found: string[] = []
        for await (
          const rows of allPages((after: UsernameCursor | undefined) => superusersAt({ at, after, limit: 2 }))
        ) {
          found.push(...rows.map(({ username }) => username))
        }
        listed += found.length
        if (JSON.stringify(found) !== JSON.stringify(expected)) {
          throw new Error(`step ${step}: ${found.join()} and not ${expected.join()}`)
        }
      }
    }),
    { numRuns: 25 },
  )
  t.ok(listed > 50, `${listed} superusers were listed in ${runs} histories`)
})

t.test('sign-ins that give the flag and take it', async (t) => {
  const gateway = await startTestGateway(t)
  const query = await connect(t, gateway.databaseUrl)
  const database = openDatabase({ server: gateway.databaseUrl, poolSize: 2 })
  t.teardown(() => database.close())
  const { superusersAt } = createOverviewReader(database, TIMEOUTS)
  const then = async (at: Date) => (await superusersAt({ at })).rows.map(({ username }) => username)
  const now = async (): Promise<Date> => {
    const [row] = await query<{ now: Date }>('select clock_timestamp() as now')
    return row?.now ?? new Date(NaN)
  }
  const instants: Date[] = [await now()]
  await gateway.signIn(PERSON_IDS.superuser)
  instants.push(await now())
  gateway.entra.directory.removeMember(GROUP_IDS.netboxSuperusers, PERSON_IDS.superuser)
  await gateway.signIn(PERSON_IDS.superuser)
  instants.push(await now())
  const sue = 'sue.super@contoso.example'
  t.strictSame(await Promise.all(instants.map(then)), [[], [sue], []])
  const { rows: [row], recordedSince } = await superusersAt({ at: instants[1] ?? new Date() })
  t.match(row, { username: sue, isSuperuser: false })
  t.ok(recordedSince !== null && new Date(recordedSince) < new Date(), `the audit begins at ${recordedSince}`)

  // after an upgrade, when the audit has rows of 0.2.0
  for (
    const statement of readFileSync('migrations/0040_flags_recorded.sql', 'utf8').split('--> statement-breakpoint')
  ) {
    if (statement.includes('UPDATE')) await query(statement)
  }
  const upgraded = (await superusersAt({ at: new Date() })).recordedSince
  t.ok(upgraded !== null && new Date(upgraded) > new Date(recordedSince ?? 0), 'it has the changes since the upgrade')
})
