// Reads the Entra groups of one user from Graph for an administrator: one at a time and few in a minute, so that pages
// cannot exhaust what Graph allows for sign-ins.
import { groupsRead } from '../core/entra-groups.js'
import { GatehouseError } from '../core/errors.js'
import { isObjectId } from '../core/identity.js'
import type { MappingRow } from '../core/mapping.js'
import type { LiveDirectory } from '../core/policy.js'

export interface LiveRead {
  readonly oid: string
  readonly memberships: readonly string[]
  readonly direct: ReadonlySet<string>
  /** Names in Entra ID by object ID, of some of the groups; without those that may not be read. */
  readonly names: ReadonlyMap<string, string>
}

/** @param user UPN or object ID @throws GatehouseError `graph_*`, `entra_*`, `person_not_found`, `rate_limited` */
export type ReadLive = (user: string, rows: readonly MappingRow[]) => Promise<LiveRead>

/** Each name is a request of its own. */
export const NAMES_READ = 20

export function createLiveReader(directory: LiveDirectory): ReadLive {
  return async (user, rows) => {
    const oid = isObjectId(user) ? user : await directory.objectId(user)
    const memberships = await directory.memberships(oid)
    const direct = new Set(await directory.directMemberships(oid))
    const names = new Map<string, string>()
    for (const { entraGroup } of groupsRead(rows, memberships).slice(0, NAMES_READ)) {
      const name = await nameOf(entraGroup, directory)
      if (name !== undefined) names.set(entraGroup, name)
    }
    return { oid, memberships, direct, names }
  }
}

async function nameOf(id: string, directory: LiveDirectory): Promise<string | undefined> {
  try {
    return (await directory.group(id))?.displayName ?? undefined
  } catch (error) {
    if (error instanceof GatehouseError) return undefined // the ids are worth showing without
    throw error
  }
}

export interface LiveReadLimits {
  readonly perMinute?: number
  /** Milliseconds. */
  readonly now?: () => number
}

const PER_MINUTE = 10
const MINUTE_MS = 60_000

/** @returns the same, refused with `rate_limited` while another one is under way, and beyond the limit of a minute */
export function limitLiveReads(
  read: ReadLive,
  { perMinute = PER_MINUTE, now = Date.now }: LiveReadLimits = {},
): ReadLive {
  let underWay = false
  let begun: number[] = []
  return async (user, rows) => {
    begun = begun.filter((at) => now() - at < MINUTE_MS)
    if (underWay) throw refused('another user is being read from Microsoft Graph', 'Try again in a moment.')
    // guard: admin-live-limited
    if (begun.length >= perMinute) throw refused(`${perMinute} users were read within a minute`, 'Wait a minute.')
    begun.push(now())
    underWay = true
    try {
      return await read(user, rows)
    } finally {
      underWay = false
    }
  }
}

function refused(detail: string, remedy: string): GatehouseError {
  return new GatehouseError('rate_limited', { detail, remedy })
}
