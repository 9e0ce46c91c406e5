// Which chains of delta requests there are, for any nesting of groups and any sequence of mappings.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { DeltaChain } from '../../src/core/change-signals.js'
import { createDeltaLinks } from '../../src/entra/delta-link.js'
import { MAX_FOLLOWED_GROUPS, planChains } from '../../src/entra/delta-plan.js'
import { applyChanges } from '../../src/entra/delta-signals.js'

const links = createDeltaLinks('https://graph.microsoft.com')
const id = (n: number) => `e0000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
const groupsOf = (chains: readonly DeltaChain[]) => chains.flatMap(({ groupIds }) => groupIds)
const followedBy = (chains: readonly DeltaChain[]) => new Set(groupsOf(chains.filter(({ following }) => following)))

/** Group -> groups that are its direct members. */
type Nesting = ReadonlyMap<string, readonly string[]>

/** What the first read of a chain does. */
function firstRead(chain: DeltaChain, nesting: Nesting): DeltaChain {
  const objects = chain.groupIds.map((group) => ({
    id: group,
    removed: false,
    members: (nesting.get(group) ?? []).map((member) => ({ id: member, type: 'group', removed: false } as const)),
  }))
  return { ...applyChanges({ users: new Set(), groups: new Set() }, chain, objects), following: true }
}

function reachable(mapped: readonly string[], nesting: Nesting): Set<string> {
  const reached = new Set(mapped)
  for (const group of reached) for (const member of nesting.get(group) ?? []) reached.add(member)
  return reached
}

const group = fc.integer({ min: 0, max: 150 }).map(id)
const nesting = fc.array(fc.tuple(group, group), { maxLength: 300 }).map((pairs) => {
  const groups = new Map<string, string[]>()
  for (const [container, member] of pairs) groups.set(container, [...groups.get(container) ?? [], member])
  return groups
})
const mapping = fc.array(group, { maxLength: 130 })

t.test('every group inside the mapped ones is followed, and no group is left out meanwhile', async (t) => {
  const mappings = fc.array(mapping, { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(nesting, mappings, fc.infiniteStream(fc.boolean()), (nesting, mappings, reads) => {
      let chains: readonly DeltaChain[] = []
      for (const mapped of mappings) {
        chains = settled(chains, mapped, nesting, () => reads.next().value === true)
        const wanted = reachable(mapped, nesting)
        assert.deepEqual([...wanted].filter((each) => !followedBy(chains).has(each)), [])
        assert.ok(chains.length <= Math.ceil(wanted.size / 50) + 10, `${chains.length} chains`)
      }
    }),
    { numRuns: 200 },
  )
  t.pass()
})

/** Plans and reads until every chain is followed. @param isRead whether a chain is read in this round */
function settled(
  before: readonly DeltaChain[],
  mapped: readonly string[],
  nesting: Nesting,
  isRead: () => boolean,
): readonly DeltaChain[] {
  let chains = before
  for (let rounds = 0; rounds < 400; rounds++) {
    const plan = planChains(chains, mapped, links)
    assertPlan(chains, plan.chains, reachable(mapped, nesting))
    if (plan.chains.length === chains.length && plan.chains.every(({ following }) => following)) break
    chains = plan.chains.map((chain) =>
      !chain.following && (isRead() || rounds > 200) ? firstRead(chain, nesting) : chain
    )
  }
  return chains
}

function assertPlan(before: readonly DeltaChain[], after: readonly DeltaChain[], wanted: ReadonlySet<string>) {
  assert.ok(after.every(({ groupIds }) => groupIds.length <= 50))
  assert.equal(after.filter(({ kind }) => kind === 'users').length, 1)
  const [followedBefore, planned, followedAfter] = [followedBy(before), groupsOf(after), followedBy(after)]
  for (const each of wanted) {
    // a group behind one that was not read yet is not planned
    if (!followedBefore.has(each) || !planned.includes(each)) continue
    assert.ok(followedAfter.has(each), `${each} stays followed`)
  }
}

// proves: delta-groups-bounded
t.test('above the limit the mapped groups come first, and the number of the others is known', async (t) => {
  const mapped = Array.from({ length: 600 }, (_, n) => id(n))
  const nested = Array.from({ length: 600 }, (_, n) => id(n + 1_000))
  let { chains } = planChains([], mapped, links)
  chains = chains.map((chain) => firstRead(chain, new Map([[id(0), nested]])))
  const plan = planChains(chains, mapped, links)
  t.equal(new Set(groupsOf(plan.chains)).size, MAX_FOLLOWED_GROUPS)
  t.equal(plan.notFollowed, 200)
  t.ok(mapped.every((each) => groupsOf(plan.chains).includes(each)))
  t.equal(planChains([], [], links).chains.length, 1, 'without a mapping only users')
})

// proves: sync-paused-not-pending
t.test('a chain that is left out does not keep the small ones from being put together', async (t) => {
  const first = (each: DeltaChain) => firstRead(each, new Map())
  const small = Array.from({ length: 14 }, (_, n) => first(planChains([], [id(n)], links).chains[0] as DeltaChain))
  const bad = planChains([], [id(99)], links).chains[0] as DeltaChain
  const mapped = [...Array.from({ length: 14 }, (_, n) => id(n)), id(99)]
  const count = (paused: ReadonlySet<string>) => planChains([...small, bad], mapped, links, paused).chains.length
  t.equal(count(new Set()), 16)
  t.equal(count(new Set([bad.id])), 17, 'one chain for all small ones is begun')
})

// proves: delta-no-gap
t.test('groups that are added one by one are put together, and stay followed meanwhile', async (t) => {
  let chains: readonly DeltaChain[] = []
  const nested: string[] = []
  for (let n = 1; n <= 30; n++) {
    nested.push(id(n))
    // the new chains were not read yet when the second plan is made
    const plan = planChains(planChains(chains, [id(0)], links).chains, [id(0)], links)
    for (const each of followedBy(chains)) t.ok(followedBy(plan.chains).has(each), `${each} after ${n}`)
    const nesting = new Map([[id(0), [...nested]]])
    chains = plan.chains.map((chain) => ({ ...firstRead(chain, nesting), added: [] }))
  }
  t.ok(chains.length <= 12, `${chains.length} chains`)
  t.strictSame([...followedBy(chains)].sort().slice(0, 30), Array.from({ length: 30 }, (_, n) => id(n)))
})
