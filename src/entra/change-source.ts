// Reads the deltas of users and groups: one round continues every chain of requests from the link of its last answer.
// Whatever goes wrong in a chain is reported, and at worst the chain begins again: nothing but the order in which users
// are re-evaluated depends on it.
import { createHash } from 'node:crypto'
import type { ChangeRound, ChangeSource, DeltaChain, DeltaKind } from '../core/change-signals.js'
import { GatehouseError } from '../core/errors.js'
import { withApplicationRemedy } from './account-state.js'
import type { BackgroundGraph } from './background-graph.js'
import { createDeltaLinks, nextLink, type DeltaLinks } from './delta-link.js'
import { changedObjects } from './delta-page.js'
import { planChains, restarted } from './delta-plan.js'
import { applyChanges, type Signals } from './delta-signals.js'
import { REPORT, THROTTLED } from './graph-errors.js'

export interface ChangeSourceOptions {
  readonly background: BackgroundGraph
  readonly tenantId: string
  readonly clientId: string
}

/** Of one round; the next one continues. */
const MAX_PAGES = 60
const MAX_SIGNALS = 20_000
/** Of one chain until its end: Graph has been seen to return links without end (microsoft-graph-docs issue 4263). */
const MAX_PAGES_OF_CHAIN = 20_000
const CONCURRENCY = 4
const PAGE_BUDGET_MS = 10_000

/**
 * Ids of chains that began again because Graph refused their link, until Graph continues them. With an error: Graph has
 * refused the link after that, too.
 */
type Restarts = Map<string, GatehouseError | undefined>

interface Round extends Signals {
  readonly background: BackgroundGraph
  readonly links: DeltaLinks
  readonly correlationId: string
  readonly endsAt: number
  readonly read: Set<string>
  readonly completed: Set<string>
  readonly failures: Map<DeltaKind, GatehouseError>
  readonly failed: Set<string>
  readonly restarts: Restarts
  pages: number
  restarted: number
  /** Graph answers nothing at all. */
  stopped: boolean
}

export function createChangeSource({ background, tenantId, clientId }: ChangeSourceOptions): ChangeSource {
  const { graphUrl } = background
  const links = createDeltaLinks(graphUrl)
  const restarts: Restarts = new Map()
  return {
    // guard: delta-scope
    scope: createHash('sha256').update(JSON.stringify([tenantId, clientId, graphUrl])).digest('hex'),
    async read({ chains, mapped, kinds, paused, budgetMs }, correlationId) {
      const plan = planChains(chains, mapped, links, paused)
      const round: Round = {
        ...{ background, links, correlationId, endsAt: performance.now() + budgetMs },
        ...{ users: new Set(), groups: new Set(), read: new Set(), completed: new Set(), failures: new Map() },
        ...{ failed: new Set(), restarts },
        ...{ pages: 0, restarted: 0, stopped: false },
      }
      for (const id of restarts.keys()) if (!plan.chains.some((chain) => chain.id === id)) restarts.delete(id)
      const results = await readChains(round, plan.chains, ({ id, kind }) => kinds.has(kind) && !paused.has(id))
      return summary(round, results, plan.notFollowed)
    },
  }
}

function summary(round: Round, chains: readonly DeltaChain[], notFollowed: number): ChangeRound {
  const { read, users, groups, failures, failed, completed } = round
  const kinds: readonly DeltaKind[] = ['users', 'groups']
  const complete = new Set(
    kinds.filter((kind) => chains.every((chain) => chain.kind !== kind || completed.has(chain.id))),
  )
  return { chains, read, users, groups, failures, failed, restarted: round.restarted, notFollowed, complete }
}

/** Some at the same time, in their order, until the round is over. */
async function readChains(
  round: Round,
  chains: readonly DeltaChain[],
  isRead: (chain: DeltaChain) => boolean,
): Promise<readonly DeltaChain[]> {
  const results = [...chains]
  const queue = [...chains.entries()].filter(([, chain]) => isRead(chain))
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, chain] = next
      results[index] = await readChain(round, chain)
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, worker))
  return results
}

// guard: delta-bounded, sync-groups-bounded
const isOver = (round: Round): boolean =>
  round.stopped || round.pages >= MAX_PAGES || round.users.size + round.groups.size >= MAX_SIGNALS ||
  performance.now() >= round.endsAt

async function readChain(round: Round, chain: DeltaChain): Promise<DeltaChain> {
  let current = chain
  const seen = new Set<string>()
  while (!isOver(round)) {
    if (!round.links.isValid(current.kind, current.link)) current = restarted(current, round.links)
    try {
      const { next, complete } = await readPage(round, current, seen)
      current = next
      if (complete) {
        const refused = round.restarts.get(current.id)
        if (refused === undefined) round.completed.add(current.id)
        else addFailure(round, current, refused) // guard: sync-refused-until-continued
        return current
      }
    } catch (error) {
      if (!(error instanceof GatehouseError)) throw error
      const { chain: next, retry } = afterError(round, current, error)
      if (!retry) return next
      current = next
    }
  }
  return current
}

/** One page: its signals count only if all of it is valid. */
async function readPage(round: Round, chain: DeltaChain, seen: Set<string>) {
  const { background: { graph, deltas, withToken, pause }, links, correlationId } = round
  // guard: delta-pause-shared, sync-deltas-wait
  if (performance.now() < pause.until || graph.throttledUntil() !== undefined) {
    throw new GatehouseError('graph_throttled', { detail: 'Graph asked for a pause', remedy: THROTTLED })
  }
  if (seen.has(chain.link)) {
    throw new GatehouseError('graph_paging_loop', { detail: 'a delta query returned to a page before', remedy: REPORT })
  }
  if (chain.pages >= MAX_PAGES_OF_CHAIN) {
    const detail = `a delta query has more than ${MAX_PAGES_OF_CHAIN} pages`
    throw new GatehouseError('graph_too_many_pages', { detail, remedy: REPORT })
  }
  seen.add(chain.link)
  round.pages++
  const remainingMs = () => Math.min(PAGE_BUDGET_MS, round.endsAt - performance.now()) // guard: sync-delta-page-ends
  const page = await withToken(correlationId, remainingMs, (context) => deltas.get({ ...context, url: chain.link }))
  // guard: delta-link-checked
  const { link, complete } = nextLink(page, (candidate) => links.isValid(chain.kind, candidate))
  const changed = applyChanges(round, chain, changedObjects(page))
  round.read.add(chain.id)
  if (chain.following) round.restarts.delete(chain.id)
  const pages = complete ? 0 : chain.pages + 1
  return {
    next: { ...changed, link, pages, following: chain.following || complete, ...complete && { former: {} } },
    complete,
  }
}

/** Codes with which a chain begins again, because its next page would be refused again. */
const UNUSABLE: ReadonlySet<string> = new Set([
  'graph_malformed',
  'graph_foreign_link',
  'graph_paging_loop',
  'graph_too_many_pages',
])
/** 410, or 40x with `syncStateNotFound` or the like ("Use delta query", Token duration, Synchronization reset). */
const LINK_REFUSED: ReadonlySet<unknown> = new Set([400, 404, 410])

/** The chain after a failure; `retry`: it is continued immediately. */
function afterError(round: Round, chain: DeltaChain, error: GatehouseError): { chain: DeltaChain, retry: boolean } {
  const { links, restarts } = round
  const refused = LINK_REFUSED.has(error.facts.status)
  const begins = restarted(chain, links)
  const forms = chain.kind === 'users' ? links.users : [begins.link]
  const form = forms.indexOf(chain.link)
  // guard: delta-resync, sync-refused-again
  if (refused && form === -1) {
    const again = restarts.has(chain.id)
    restarts.set(chain.id, again ? withApplicationRemedy(error) : undefined)
    if (!again) {
      round.restarted++
      return { chain: begins, retry: true }
    }
  }
  const nextForm = refused && form !== -1 ? forms[form + 1] : undefined
  // guard: delta-untracked-property
  if (nextForm !== undefined) return { chain: { ...chain, link: nextForm }, retry: true }
  addFailure(round, chain, withApplicationRemedy(error))
  return { chain: UNUSABLE.has(error.code) || refused ? begins : chain, retry: false } // guard: delta-unusable-restarts
}

function addFailure(round: Round, { id, kind }: DeltaChain, error: GatehouseError): void {
  if (!round.failures.has(kind)) round.failures.set(kind, error)
  if (isOutage(error)) round.stopped = true
  else round.failed.add(id)
}

/** Without a token, or without Graph, further requests are useless. */
function isOutage({ code }: GatehouseError): boolean {
  return code.startsWith('entra_') || ['graph_unavailable', 'graph_throttled', 'graph_timeout'].includes(code)
}
