// The round of delta queries before a run: what is reported, when a kind is left out, and that no run depends on it.
import t, { type Test } from 'tap'
import type { ChangeQuery, ChangeRound, ChangeSignals, DeltaChain, DeltaKind } from '../../src/core/change-signals.js'
import type { GatehouseError } from '../../src/core/errors.js'
import { createSignalReader } from '../../src/reevaluation/change-signals.js'
import { error, PACE, reevaluationScene } from '../helpers/reevaluation-scene.js'

const CHAIN = { id: 'chain', kind: 'groups' } as DeltaChain
const GOOD: ChangeRound = {
  chains: [CHAIN],
  read: new Set(),
  users: new Set(['a']),
  groups: new Set(),
  failures: new Map(),
  failed: new Set(),
  restarted: 0,
  notFollowed: 0,
  complete: new Set(['users', 'groups']),
}
const failed = (failures: Partial<Record<DeltaKind, GatehouseError>>): ChangeRound => ({
  ...GOOD,
  failures: new Map(Object.entries(failures) as [DeltaKind, GatehouseError][]),
  complete: new Set(),
})

function scene(
  rounds: (query: ChangeQuery) => ChangeRound | Promise<ChangeRound>,
  record: () => Promise<number> = async () => 1,
  chains: readonly DeltaChain[] = [CHAIN],
) {
  const reports: string[] = []
  const queries: ChangeQuery[] = []
  const changes: ChangeSignals = {
    source: {
      scope: 'scope',
      async read(query) {
        queries.push(query)
        return await rounds(query)
      },
    },
    store: { chains: async () => chains, record },
    mapped: () => ['group'],
    report: {
      signalled: (users) => reports.push(`signalled ${users}`),
      deltaFailed: (kind, { code }) => reports.push(`${kind} failed ${code}`),
      deltaRecovered: (kind) => reports.push(`${kind} recovered`),
      deltaRestarted: (chains) => reports.push(`restarted ${chains}`),
      groupsNotFollowed: (groups) => reports.push(`not followed ${groups}`),
    },
  }
  return { reader: createSignalReader(changes, 1_000), changes, reports, queries }
}

t.test('a round gets the stored links and the mapped groups, and its signals are counted', async (t) => {
  const { reader, reports, queries } = scene(() => GOOD)
  t.equal(reader.completeAt(), undefined)
  await reader.read()
  t.match(queries, [{ chains: [CHAIN], mapped: ['group'] }])
  t.strictSame(reports, ['signalled 1'])
  t.ok(Date.now() - (reader.completeAt() ?? 0) < 60_000)
})

t.test('a failure is reported once for its kind and left out for longer and longer, until recovery', async (t) => {
  let round = failed({ groups: error('graph_forbidden') })
  const { reader, reports, queries } = scene(() => round, async () => 0)
  for (let rounds = 0; rounds < 40; rounds++) await reader.read()
  t.strictSame(reports, ['groups failed graph_forbidden'])
  t.equal(queries.length, 40, 'users in every round')
  const withGroups = queries.flatMap(({ kinds }, index) => kinds.has('groups') ? [index] : [])
  t.strictSame(withGroups, [0, 2, 5, 10, 19, 36])
  t.equal(reader.completeAt(), undefined)
  round = GOOD
  for (let rounds = 0; rounds < 40; rounds++) await reader.read()
  t.strictSame(reports, ['groups failed graph_forbidden', 'groups recovered'])
  t.ok(reader.completeAt() !== undefined)
})

// proves: sync-chain-alone
t.test('a chain that fails alone is left out alone, and the others of its kind are read in every round', async (t) => {
  const chains = [CHAIN, { ...CHAIN, id: 'bad' }]
  let broken = true
  const answer = ({ paused }: ChangeQuery): ChangeRound => ({
    ...GOOD,
    chains,
    read: new Set(['chain', ...paused.has('bad') || broken ? [] : ['bad']]),
    ...broken && { complete: new Set<DeltaKind>(['users']) },
    ...broken && !paused.has('bad') &&
      {
        failed: new Set(['bad']),
        failures: new Map<DeltaKind, GatehouseError>([['groups', error('graph_forbidden')]]),
      },
  })
  const { reader, reports, queries } = scene(answer, async () => 0, chains)
  for (let rounds = 0; rounds < 40; rounds++) await reader.read()
  t.ok(queries.length === 40 && queries.every(({ kinds }) => kinds.has('groups')))
  t.strictSame(queries.flatMap(({ paused }, index) => paused.has('bad') ? [] : [index]), [0, 2, 5, 10, 19, 36])
  t.strictSame(reports, ['groups failed graph_forbidden'])
  t.equal(reader.completeAt(), undefined)
  broken = false
  for (let rounds = 0; rounds < 40; rounds++) await reader.read()
  t.strictSame(reports, ['groups failed graph_forbidden', 'groups recovered'])
})

// proves: sync-delta-budget
t.test('a round takes half of the time between two runs at most', async (t) => {
  for (const [intervalMs, most] of [[10_000, 250], [60_000, 1_500], [300_000, 7_500], [86_400_000, 7_500]] as const) {
    const { changes, queries } = scene(() => GOOD)
    const run = await reevaluationScene(t, { changes, pace: { ...PACE, intervalMs } })
    await run.run()
    t.strictSame(queries.map(({ budgetMs }) => budgetMs), [most])
  }
})

// proves: sync-held-after-deltas
t.test('a replica that loses the lock while it reads deltas reads no user', async (t) => {
  let leads = true
  const { changes } = scene(() => {
    leads = false
    return GOOD
  })
  const run = await reevaluationScene(t, { users: 1, changes, leadership: { held: async () => leads } })
  await run.run()
  t.strictSame(run.requests, [])
})

t.test('links that are refused and groups above the limit are reported when they begin', async (t) => {
  const rounds = [
    { ...GOOD, restarted: 2 },
    { ...GOOD, restarted: 1, notFollowed: 5 },
    { ...GOOD, notFollowed: 5 },
    GOOD,
  ]
  const { reader, reports } = scene(() => rounds.shift() ?? GOOD, async () => 0)
  for (let round = 0; round < 5; round++) await reader.read()
  t.strictSame(reports, ['restarted 2', 'not followed 5', 'not followed 0'])
})

// proves: delta-never-throws
t.test('whatever fails in it, the run reads the users that are due', async (t) => {
  const cases: ((t: Test) => ReturnType<typeof scene>)[] = [
    () => scene(() => Promise.reject(new TypeError('x'))),
    () => scene(() => GOOD, () => Promise.reject(error('database_unavailable'))),
    () => scene(() => failed({ users: error('graph_throttled'), groups: error('graph_malformed') })),
  ]
  for (const create of cases) {
    const { changes, reports } = create(t)
    const run = await reevaluationScene(t, { users: 30, changes })
    await run.run()
    t.equal(run.applied.size, 30)
    t.equal(run.schedule.state().failing, undefined, 'its failure is not that of the re-evaluation')
    t.ok(reports.some((report) => report.startsWith('users failed')))
  }
})

t.test('only the leader reads deltas, and the next leader continues with the stored links', async (t) => {
  const { changes, queries } = scene(() => GOOD)
  let leads = false
  const run = await reevaluationScene(t, { users: 1, changes, leadership: { held: async () => leads } })
  await run.run()
  t.equal(queries.length, 0)
  leads = true
  await run.run()
  t.match(queries, [{ chains: [CHAIN] }])
})
