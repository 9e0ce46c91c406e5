// Collects the changes of rights of any number of users: how many gain and lose each right, and the gravest changes.
import { byGravity, isChange, type RightsChange } from './explain.js'

export interface UserChange {
  readonly username: string
  /** When Graph returned the memberships, or `now`. */
  readonly readAt: string
  readonly change: RightsChange
}

export interface RightCount {
  /** `superuser`, `staff`, or the name of a local group. */
  readonly right: string
  readonly gain: number
  readonly lose: number
}

export interface ChangeRanking<Change extends UserChange = UserChange> {
  /** Ignores users whose rights stay as they are. */
  add(change: Change): void
  readonly changed: number
  /** The gravest first, then by username; at most as many as the ranking keeps. */
  gravest(): readonly Change[]
  /** Flags first, then groups by name; rights that no user gains or loses are left out. */
  counts(): readonly RightCount[]
}

/** @param kept how many of the changes are kept, the gravest */
export function createChangeRanking<Change extends UserChange = UserChange>(kept: number): ChangeRanking<Change> {
  const counts = new Map<string, { right: string, gain: number, lose: number }>()
  const shared = createSharedChanges()
  let gravest: Change[] = []
  let changed = 0
  const count = (right: string, flag: boolean, direction: 'gain' | 'lose'): void => {
    const key = `${flag ? 0 : 1} ${right}` // a local group may be called staff
    const known = counts.get(key) ?? { right, gain: 0, lose: 0 }
    known[direction]++
    counts.set(key, known)
  }
  const sorted = (): Change[] => {
    gravest = gravest.sort(order).slice(0, kept)
    return gravest
  }
  return {
    add(user) {
      const { change } = user
      if (!isChange(change)) return
      changed++
      if (change.superuser !== 0) count('superuser', true, change.superuser > 0 ? 'gain' : 'lose')
      if (change.staff !== 0) count('staff', true, change.staff > 0 ? 'gain' : 'lose')
      for (const name of change.gained) count(name, false, 'gain')
      for (const name of change.lost) count(name, false, 'lose')
      gravest.push({ ...user, change: shared(change) })
      if (gravest.length >= 2 * kept) sorted()
    },
    get changed() {
      return changed
    },
    gravest: sorted,
    counts: () => [...counts.entries()].sort(([a], [b]) => compare(a, b)).map(([, each]) => each),
  }
}

const { compare } = new Intl.Collator()

function order(a: UserChange, b: UserChange): number {
  return byGravity(a.change, b.change) || compare(a.username, b.username)
}

const MAX_SHARED = 10_000

/** One copy of equal changes: most users who change have the change of many others. */
function createSharedChanges(): (change: RightsChange) => RightsChange {
  const known = new Map<string, RightsChange>()
  return (change) => {
    const key = JSON.stringify(change)
    const same = known.get(key)
    if (same === undefined && known.size < MAX_SHARED) known.set(key, change)
    return same ?? change
  }
}
