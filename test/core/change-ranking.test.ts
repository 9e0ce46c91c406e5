// Which changes of rights a reviewer is shown, of any number of them.
import fc from 'fast-check'
import t from 'tap'
import { createChangeRanking, type UserChange } from '../../src/core/change-ranking.js'
import { byGravity, isChange, type RightsChange } from '../../src/core/explain.js'

const NONE: RightsChange = { gained: [], lost: [], staff: 0, superuser: 0 }
const of = (username: string, change: Partial<RightsChange>): UserChange => ({
  username,
  readAt: 'now',
  change: { ...NONE, ...change },
})

t.test('the gravest changes are those that a sort of all of them puts first', async (t) => {
  const flag = fc.constantFrom<-1 | 0 | 1>(-1, 0, 0, 1)
  const names = fc.subarray(['A', 'B', 'C'])
  const change = fc.record({ gained: names, lost: names, staff: flag, superuser: flag })
  const changes = fc.array(change, { maxLength: 60 })
    .map((list) => list.map((each, index) => of(`user${(index * 37) % 61}`, each)))
  t.doesNotThrow(() =>
    fc.assert(fc.property(changes, fc.integer({ min: 1, max: 20 }), (list, kept) => {
      const ranking = createChangeRanking(kept)
      for (const each of list) ranking.add(each)
      const changed = list.filter((each) => isChange(each.change))
      const sorted = changed.toSorted((a, b) => byGravity(a.change, b.change) || a.username.localeCompare(b.username))
      return ranking.changed === changed.length &&
        JSON.stringify(ranking.gravest()) === JSON.stringify(sorted.slice(0, kept))
    }))
  )
})

t.test('each right is counted, flags first', async (t) => {
  const ranking = createChangeRanking(1)
  ranking.add(of('a', { gained: ['B', 'A'], staff: 1 }))
  ranking.add(of('b', { gained: ['A'], lost: ['B', 'staff'], superuser: -1 }))
  ranking.add(of('c', { superuser: 1, staff: -1 }))
  ranking.add(of('d', {}))
  t.strictSame(ranking.counts(), [
    { right: 'staff', gain: 1, lose: 1 },
    { right: 'superuser', gain: 1, lose: 1 },
    { right: 'A', gain: 2, lose: 0 },
    { right: 'B', gain: 1, lose: 1 },
    { right: 'staff', gain: 0, lose: 1 },
  ])
  t.equal(ranking.changed, 3)
  t.strictSame(ranking.gravest().map(({ username }) => username), ['c'])
})
