// Addresses of delta queries: those that a chain begins with, and which of Graph's links may be followed. The token of
// the application goes to every one of them (learn.microsoft.com, "group: delta", "user: delta").
import type { DeltaKind } from '../core/change-signals.js'
import { GatehouseError } from '../core/errors.js'
import { REPORT } from './graph-errors.js'

/** Graph's limit of objects in one filter. */
export const MAX_GROUPS_IN_CHAIN = 50

/** Graph's tokens have some hundred characters. */
const MAX_LINK_LENGTH = 16_384
const PATHS = ['delta', 'delta()', 'microsoft.graph.delta', 'microsoft.graph.delta()']

export interface DeltaLinks {
  /** With all present members. */
  groups(groupIds: readonly string[]): string
  /** From now on, without content. The next one is for a Graph that refuses the one before. */
  readonly users: readonly string[]
  isValid(kind: DeltaKind, link: string): boolean
}

export function createDeltaLinks(graphUrl: string): DeltaLinks {
  const root = `${graphUrl}/v1.0`
  const { origin, pathname } = new URL(root)
  return {
    groups(groupIds) {
      const filter = groupIds.map((id) => `id eq '${id}'`).join(' or ')
      return `${root}/groups/delta?$select=members&$filter=${encodeURIComponent(filter)}`
    },
    // Microsoft does not document which properties of users are tracked.
    users: ['accountEnabled,signInSessionsValidFromDateTime', 'accountEnabled'].map((properties) =>
      `${root}/users/delta?$select=${properties}&$deltatoken=latest`
    ),
    isValid(kind, link) {
      if (link.length > MAX_LINK_LENGTH || !URL.canParse(link)) return false
      const url = new URL(link)
      return url.origin === origin && url.username === '' && url.password === '' && // guard: delta-link-origin
        PATHS.some((path) => url.pathname === `${pathname}/${kind}/${path}`) // guard: delta-link-path
    },
  }
}

export interface Links {
  readonly link: string
  /** It was the last page. */
  readonly complete: boolean
}

/** The next link of a page. @throws GatehouseError `graph_malformed`, `graph_foreign_link` */
export function nextLink(
  page: Readonly<Record<string, unknown>>,
  isValid: (link: string) => boolean,
): Links {
  const [next, delta] = [page['@odata.nextLink'], page['@odata.deltaLink']]
  const link = next ?? delta
  // guard: delta-one-link
  if (typeof link !== 'string' || (next !== undefined && delta !== undefined)) {
    const detail = 'a page of a delta query has not exactly one of @odata.nextLink and @odata.deltaLink'
    throw new GatehouseError('graph_malformed', { detail, remedy: REPORT })
  }
  if (!isValid(link)) {
    throw new GatehouseError('graph_foreign_link', {
      detail: 'a link of a delta query leads to another address than that query',
      remedy: 'Check entra.graphUrl; if it is right, something between Gatehouse and Graph rewrites answers.',
    })
  }
  return { link, complete: next === undefined }
}
