// Applies a deployed version of the policy to everybody with an active session, from their stored snapshots.
// One process does it; where that ends in the middle, another one goes on from its last page.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Acting } from '../core/acts.js'
import { BEFORE_ALL_IDS } from '../core/first-id.js'
import type { GrantChange } from '../core/grants.js'
import type { MappingContext } from '../core/pipeline/azuread-map-groups.js'
import { policyMissing } from '../core/policy-version.js'
import {
  effectOf,
  grantsFor,
  type AppliedPolicy,
  type ApplicationPosition,
  type ClaimedApplication,
  type PolicyApplication,
  type PolicyApplications,
  type StoredPerson,
} from '../core/policy-application.js'

export interface PolicyApplyAdmin {
  /**
   * Asks for it: of the version in force, from its beginning; one that is under way goes on.
   * @returns the number of the version
   * @throws GatehouseError `policy_missing`
   */
  begin(acting: Acting): Promise<number>
  /**
   * Does it, or waits for the process that does.
   * @param watch called as it goes on
   * @returns as it ended; undefined: it was not asked for
   * @throws where the database fails; what was done by then stays, and another call goes on
   */
  finish(version: number, watch?: Watch): Promise<PolicyApplication | undefined>
  /** Does what no process does, where there is such a version. */
  takeUp(): Promise<void>
  /** Ends after the users in hand; another process goes on. */
  close(): Promise<void>
}

type Watch = (application: PolicyApplication) => void | Promise<void>

export interface PolicyApplyPorts {
  /** Of this process, for people to read. */
  readonly name: string
  readonly applications: PolicyApplications
  /** Undefined: this process cannot apply that version. */
  readonly policyOf: (version: number) => Promise<AppliedPolicy | undefined>
  readonly lookups: MappingContext['lookups']
  /** Of a user whom it could not map. */
  readonly failed: (person: StoredPerson, error: unknown) => void
  /** Users in one page. */
  readonly pageSize?: number
}

const PAGE = 1_000
/** Transactions at the same time: half of the pool is for sign-ins. */
const CONCURRENCY = 4
const ATTEMPTS = 3
const WAIT_MS = 500

export function createPolicyApplyAdmin(ports: PolicyApplyPorts): PolicyApplyAdmin {
  const { applications } = ports
  let isClosed = false
  const running = new Set<Promise<unknown>>()
  const runHere = async (version: number, watch?: Watch): Promise<boolean> => {
    const policy = isClosed ? undefined : await ports.policyOf(version)
    if (policy === undefined) return false
    const runner = `${ports.name} ${randomUUID()}`
    const claimed = await applications.claim(version, runner)
    if (claimed === undefined) return false
    await createRun({ runner, claimed, policy, ports, watch, isClosed: () => isClosed }).run()
    return true
  }
  const tracked = async <T>(work: Promise<T>): Promise<T> => {
    running.add(work)
    return await work.finally(() => running.delete(work))
  }
  return {
    async begin(acting) {
      const version = await applications.begin(acting)
      if (version === undefined) throw policyMissing()
      return version
    },
    async finish(version, watch) {
      for (;;) {
        const wasHere = await tracked(runHere(version, watch))
        const application = await applications.find(version)
        if (application?.state !== 'running' || isClosed) return application
        await watch?.(application)
        if (!wasHere) await sleep(WAIT_MS)
      }
    },
    async takeUp() {
      const version = await applications.waiting()
      if (version !== undefined) await tracked(runHere(version))
    },
    async close() {
      isClosed = true
      await Promise.allSettled(running)
    },
  }
}

interface Run {
  readonly runner: string
  readonly claimed: ClaimedApplication
  readonly policy: AppliedPolicy
  readonly ports: PolicyApplyPorts
  readonly watch: Watch | undefined
  readonly isClosed: () => boolean
}

type Outcome = GrantChange | 'replaced' | 'failed' | undefined

/** Both passes, a page at a time. */
function createRun({ runner, claimed, policy, ports, watch, isClosed }: Run) {
  const { applications, pageSize = PAGE } = ports
  const { requireMappedGroup, mapping, entraGroups } = policy
  let at: ApplicationPosition = claimed
  const groups = createKnownGroups(ports.lookups, policy.localGroups)
  const plan = (person: StoredPerson) => grantsFor(person, mapping, groups.lookups)
  const how = { application: claimed, requireMappedGroup, plan }
  const isConcerned = async (person: StoredPerson): Promise<boolean> => {
    const { loses, differs } = effectOf(person, await plan(person), requireMappedGroup)
    return at.pass === 'losses' ? loses : differs // guard: policy-apply-losses-first
  }
  const applyTo = async (person: StoredPerson): Promise<Outcome> =>
    await isConcerned(person) ? await applied(person, () => applications.apply(person, how), groups, ports) : undefined
  /** @returns whether there is another one */
  const onePage = async (): Promise<boolean> => {
    const { people, next } = await applications.page(at.after, pageSize, entraGroups)
    const outcomes = await inParallel(people, applyTo)
    const isReplaced = outcomes.includes('replaced')
    const isLast = isReplaced || (next === undefined && at.pass === 'rest')
    at = { ...counted(at, people, outcomes), ...positionAfter(at, next) }
    if (!await applications.progress(runner, at)) return false // guard: policy-apply-taken-over
    await watch?.({ ...claimed, ...at, state: 'running', runner, startedAt: '', endedAt: null })
    if (isLast) await applications.end(runner, isReplaced ? 'replaced' : 'done')
    return !isLast
  }
  return {
    async run(): Promise<void> {
      try {
        await groups.read()
        while (!isClosed() && await onePage());
      } finally {
        await applications.release(runner).catch(() => {}) // then another process waits for a while
      }
    },
  }
}

function positionAfter({ pass }: ApplicationPosition, next: string | undefined): Partial<ApplicationPosition> {
  if (next !== undefined) return { after: next }
  return pass === 'losses' ? { pass: 'rest', after: BEFORE_ALL_IDS, done: 0, tooOld: 0 } : {}
}

function counted(
  { done, tooOld, gains, losses, failed, ...at }: ApplicationPosition,
  people: readonly StoredPerson[],
  outcomes: readonly Outcome[],
): ApplicationPosition {
  let [gained, lost, notMapped] = [0, 0, 0]
  for (const [index, outcome] of outcomes.entries()) {
    const person = people[index]
    if (outcome === 'failed') notMapped++
    else if (typeof outcome === 'object' && person !== undefined) {
      const { groupsAdded, groupsRemoved, staff, superuser } = outcome
      if (groupsAdded.length > 0 || (staff && !person.isStaff) || (superuser && !person.isSuperuser)) gained++
      if (groupsRemoved.length > 0 || (!staff && person.isStaff) || (!superuser && person.isSuperuser)) lost++
    }
  }
  return {
    ...at,
    done: done + people.length,
    tooOld: tooOld + people.filter((person) => person.isTooOld).length,
    gains: gains + gained,
    losses: losses + lost,
    failed: failed + (at.pass === 'rest' ? notMapped : 0), // the second pass tries all of them again
  }
}

/** Each user on their own: a row that is locked, or a local group that was removed, does not end the run. */
async function applied(
  person: StoredPerson,
  apply: () => ReturnType<PolicyApplications['apply']>,
  groups: KnownGroups,
  { applications, failed }: PolicyApplyPorts,
): Promise<Outcome> {
  for (let attempt = 1;; attempt++) {
    try {
      return await apply()
    } catch (error) {
      if (attempt >= ATTEMPTS) {
        failed(person, error)
        return 'failed'
      }
    }
    await groups.read()
    await applications.waiting() // throws where the whole database has failed
  }
}

interface KnownGroups {
  readonly lookups: MappingContext['lookups']
  read(): Promise<void>
}

/** Read at the beginning, and where one was removed: the mapping may grant ten thousand. */
function createKnownGroups(lookups: MappingContext['lookups'], names: readonly string[]): KnownGroups {
  let known: ReadonlyMap<string, string> = new Map()
  return {
    lookups: { groupIds: async () => known },
    async read() {
      known = await lookups.groupIds(names)
    },
  }
}

/** @returns the results in the order of the items; the first failure ends all */
async function inParallel<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = []
  const queue = items.entries()
  let hasFailed = false
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) {
      if (hasFailed) return
      results[index] = await work(item)
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, () =>
    worker().catch((error: unknown) => {
      hasFailed = true
      throw error
    })))
  return results
}
