// Which server is the server of record: tables of the situations that a failover can leave, and what holds in every
// sequence of them.
import fc from 'fast-check'
import t from 'tap'
import {
  elect,
  NO_HISTORY,
  type Candidate,
  type ElectionHistory,
} from '../../../src/store/server-of-record/election.js'

const CLUSTER = '7400000000000000001'

interface Server {
  readonly name: string
  readonly timeline?: number | undefined
  readonly startedAt?: string
  readonly systemId?: string | undefined
  readonly writable?: boolean
}

function candidate({ name, timeline, startedAt = `start of ${name}`, writable = true, ...rest }: Server): Candidate {
  return {
    url: `postgres://${name}/db`,
    identity: {
      systemId: 'systemId' in rest ? rest.systemId : CLUSTER,
      timeline: timeline === undefined || !writable ? undefined : timeline.toString(16).toUpperCase().padStart(8, '0'),
      startedAt,
    },
    writable,
  }
}

/** Elects in each of these situations in turn. @returns the names of the elected servers, or the failures */
function outcomes(...situations: readonly (readonly Server[])[]): readonly string[] {
  let history: ElectionHistory = NO_HISTORY
  return situations.map((servers) => {
    const result = elect(servers.map(candidate), history)
    if (result.failure !== undefined) return result.failure
    history = result.history
    return new URL(result.elected.url).hostname
  })
}

const A1 = { name: 'a', timeline: 1 }
const B1 = { name: 'b', timeline: 1, writable: false }
const B2 = { name: 'b', timeline: 2 }

t.test('the server that accepts writes is elected, wherever it stands in the list', async (t) => {
  t.strictSame(outcomes([A1, B1]), ['a'])
  t.strictSame(outcomes([B1, A1]), ['a'])
  t.strictSame(outcomes([B1]), ['read_only'])
  t.strictSame(outcomes([B1, { ...B1, name: 'c' }]), ['read_only'])
})

// proves: record-highest-timeline
t.test('of two servers that accept writes the higher timeline is elected', async (t) => {
  t.strictSame(outcomes([A1, B2]), ['b'])
  t.strictSame(outcomes([B2, A1]), ['b'])
  t.strictSame(outcomes([{ name: 'a', timeline: 9 }, { name: 'b', timeline: 16 }]), ['b'], 'compared as numbers')
})

// proves: record-split
t.test('two servers on one timeline are a split, two names of one server are none', async (t) => {
  t.strictSame(outcomes([A1, { name: 'b', timeline: 1 }]), ['split'])
  t.strictSame(outcomes([A1, { name: 'alias', timeline: 1, startedAt: 'start of a' }]), ['a'])
  t.strictSame(outcomes([{ name: 'a' }, { name: 'b' }]), ['split'], 'where neither shows its timeline')
})

// proves: record-other-cluster
t.test('servers of two clusters are refused, also one after the other', async (t) => {
  t.strictSame(outcomes([A1, { name: 'x', timeline: 5, systemId: 'another' }]), ['other_cluster'])
  t.strictSame(outcomes([A1, { ...B1, systemId: 'another' }]), ['other_cluster'], 'a standby counts too')
  t.strictSame(outcomes([A1], [{ name: 'a', timeline: 2, systemId: 'another' }], [A1]), ['a', 'other_cluster', 'a'])
  t.strictSame(outcomes([A1], [{ name: 'a', timeline: 1, systemId: undefined }]), ['a', 'a'], 'where it is not shown')
})

// proves: record-superseded
t.test('a server that another one replaced is not used again, unless its timeline has grown', async (t) => {
  t.strictSame(outcomes([A1, B1], [B2], [A1]), ['a', 'b', 'superseded'])
  t.strictSame(outcomes([A1, B2], [A1]), ['b', 'superseded'], 'also where it never was the server of record')
  t.strictSame(outcomes([A1], [B2], [{ name: 'a', timeline: 3 }]), ['a', 'b', 'a'])
  t.strictSame(outcomes([A1], [{ ...A1, startedAt: 'later' }], [A1]), ['a', 'a', 'superseded'], 'after a restart')
  t.strictSame(
    outcomes([{ name: 'a' }], [{ name: 'b' }], [{ name: 'a' }]),
    ['a', 'b', 'superseded'],
    'where no timeline is shown',
  )
})

t.test('whatever happens, the timeline of the server of record never falls, and a split elects none', async () => {
  const server = fc.record({
    name: fc.constantFrom('a', 'b', 'c'),
    timeline: fc.integer({ min: 1, max: 20 }),
    startedAt: fc.constantFrom('1', '2', '3'),
    writable: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(fc.array(server, { minLength: 1, maxLength: 3 }), { maxLength: 12 }), (situations) => {
      let history: ElectionHistory = NO_HISTORY
      let last = 0
      const replaced = new Set<string>()
      let current: string | undefined
      for (const servers of situations) {
        const result = elect(servers.map(candidate), history)
        if (result.failure !== undefined) continue
        history = result.history
        const elected = Number.parseInt(result.elected.identity.timeline ?? '', 16)
        const key = `${elected} ${result.elected.identity.startedAt}`
        const rivals = servers.filter(({ writable, timeline, startedAt }) =>
          writable && timeline >= elected && `${timeline} ${startedAt}` !== key &&
          !replaced.has(`${timeline} ${startedAt}`)
        )
        if (elected < last || replaced.has(key) || rivals.length > 0) return false
        if (current !== undefined && current !== key) replaced.add(current)
        current = key
        last = elected
      }
      return true
    }),
    { numRuns: 2_000 },
  )
})
