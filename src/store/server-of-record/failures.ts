// Why none of the servers may be used, in one line with the remedy.
import { GatehouseError } from '../../core/errors.js'
import { failing, place, readOnlyFailure } from '../database-failure.js'
import { addressOf } from '../postgres-client.js'
import type { Candidate, ElectionFailure, ElectionHistory } from './election.js'
import type { Probe } from './probe.js'

export function electionFailure(
  failure: ElectionFailure,
  candidates: readonly Candidate[],
  { systemId, current }: ElectionHistory,
): GatehouseError {
  switch (failure) {
    case 'other_cluster': {
      const before = systemId === undefined ? '' : `; the server used until now is of cluster ${systemId}`
      const servers = candidates.map(({ url, identity }) =>
        `${named(url)} of cluster ${identity.systemId ?? 'unknown'}`
      )
      return failing(
        'other_cluster',
        `database.url leads to servers of different clusters: ${servers.join(', ')}${before}.`,
        'Name the primary and its standbys alone in database.url. Where the database was moved to a new cluster on ' +
          'purpose, restart Gatehouse.',
      )
    }
    case 'split': {
      const timeline = candidates[0]?.identity.timeline
      return failing(
        'split',
        `${candidates.map(({ url }) => named(url)).join(' and ')} accept writes, and neither is newer (${
          timeline === undefined ? 'their timeline is not shown' : `both on timeline ${numberOf(timeline)}`
        }).`,
        'Stop the server that is not the primary, and make it a standby of the primary (patronictl reinit, pg_rewind).',
      )
    }
    case 'superseded':
      return failing(
        'superseded',
        `${candidates.map(({ url }) => named(url)).join(' and ')} accepts writes, but a newer primary${
          current?.timeline === undefined ? '' : ` (timeline ${numberOf(current.timeline)})`
        } replaced it.`,
        'Let database.url lead to the new primary, and make the old one its standby (patronictl reinit, pg_rewind). ' +
          'Where the new primary is lost for good, restart Gatehouse: what only the new primary had is lost.',
      )
    case 'read_only':
      return allReadOnly(candidates)
  }
}

function allReadOnly(candidates: readonly Candidate[]): GatehouseError {
  const [first] = candidates
  if (candidates.length === 1 && first !== undefined) return readOnlyFailure(first.url)
  return failing(
    'read_only',
    `No server of database.url accepts writes: ${candidates.map(({ url }) => named(url)).join(', ')} are read-only.`,
    'Promote one of them (patronictl failover, pg_ctl promote), or name the primary in database.url too.',
  )
}

/** The server answers, and does not confirm the row that each heartbeat updates. */
export function heartbeatUnconfirmed(url: string): GatehouseError {
  return failing(
    'unconfirmed',
    `PostgreSQL at ${named(url)} answers, and has not confirmed a change for five seconds.`,
    'Check its synchronous standby (pg_stat_replication). If another server was promoted, stop this one.',
  )
}

/** No host answered. */
export function unreachable(probes: readonly Probe[]): GatehouseError {
  const failures = probes.flatMap(({ failure }) => failure ?? [])
  const [first] = failures
  if (failures.length === 1 && first !== undefined) return first
  return new GatehouseError('database_unavailable', {
    cause: first,
    detail: `No server of database.url answers: ${failures.map(({ message }) => message).join(' ')}`,
    remedy: 'Check that PostgreSQL runs on one of these hosts, and the network in between.',
    facts: { reason: 'unreachable' },
  })
}

function named(url: string): string {
  return place(addressOf(url))
}

function numberOf(timeline: string): number {
  return Number.parseInt(timeline, 16)
}

/** The server was elected, and whether it has the whole history is not known yet (store/lost-history/). */
export function historyUnknown(url: string, cause: unknown): GatehouseError {
  const detail = cause instanceof Error ? `: ${cause.message}` : ''
  return failing(
    'history',
    `Whether PostgreSQL at ${named(url)} has the latest part of its history is not known yet${detail}`,
    'Nothing, during a failover: it takes a moment. If it persists, see what PostgreSQL says about it.',
  )
}
