// What logins and re-evaluations tell the operator: the lines with `Azure AD group mapping` that one greps for, and the
// counts.
import type { Logger } from 'pino'
import { errorFacts, thrownFacts } from '../core/errors.js'
import type { LoginReporter } from '../core/login.js'
import type { Meter } from '../core/meter.js'
import type { SyncChange } from '../core/reevaluation.js'
import type { SyncReporter } from '../reevaluation/ports.js'

export function createLoginReporter(log: Logger, meter: Pick<Meter, 'groupMissing'>): LoginReporter {
  return {
    groupMissing(name, username) {
      meter.groupMissing()
      log.warn(
        { group: name, user: username, remedy: `gatehouse groups add ${JSON.stringify(name)}` },
        `Azure AD group mapping - group not found locally: ${name}`,
      )
    },
    completed: (outcome, { entraGroups, graphRequests, missing, because, correlationId, client, sessionId }) =>
      log.info({
        correlationId,
        client,
        user: outcome.username,
        userId: outcome.userId,
        session: outcome.refused ? null : sessionId,
        refused: outcome.refused,
        created: outcome.created,
        groupsAdded: outcome.groupsAdded,
        groupsRemoved: outcome.groupsRemoved,
        groups: outcome.groups.length,
        missing: missing.length,
        entraGroups,
        graphRequests,
        staff: outcome.staff,
        superuser: outcome.superuser,
        because,
        superseded: outcome.superseded,
        ...(outcome.sessionsEnded === 0 ? {} : { sessionsEnded: outcome.sessionsEnded }),
      }, mapped(outcome.username, outcome, because)),
  }
}

const ENDED: Readonly<Record<Parameters<SyncReporter['ended']>[1], string>> = {
  disabled: 'the account is disabled in Entra ID',
  deleted: 'the account is deleted in Entra ID',
  revoked: 'Entra ID revoked the sessions of this account',
  refused: 'the mapping grants nothing and requireMappedGroup is set',
  stale_session: 'Graph has not answered about this person for longer than sync.maxStaleness',
}

const HIDDEN = 'If the membership did not end in Entra ID, the group hides its members from applications: ' +
  'grant the application permission Member.Read.Hidden with admin consent (docs/revocation.md).'

export function createSyncReporter(log: Logger, meter: Pick<Meter, 'groupMissing' | 'reevaluated'>): SyncReporter {
  const saidMissing = new Set<string>()
  return {
    changed: ({ username, userId }, change, { correlationId, entraGroups, missing, because }) =>
      log.info({
        correlationId,
        user: username,
        userId,
        groupsAdded: change.groupsAdded,
        groupsRemoved: change.groupsRemoved,
        groups: change.groups.length,
        missing: missing.length,
        entraGroups,
        staff: change.staff,
        superuser: change.superuser,
        because,
      }, `${mapped(username, change, because)} (re-evaluation)`),
    ended: ({ username, userId }, why, sessions, correlationId) =>
      log.info(
        { correlationId, user: username, userId, why, sessions },
        `the sessions of ${username} ended: ${ENDED[why]}`,
      ),
    takenBack: ({ username, userId }, taken, correlationId) =>
      log.warn(
        { correlationId, user: username, userId, ...taken, remedy: HIDDEN },
        `Azure AD group mapping - the re-evaluation took from ${username} what a sign-in had granted ` +
          'within the last half hour by the same mapping',
      ),
    privilegesDropped: ({ username, userId }) =>
      log.warn(
        { user: username, userId, remedy: 'They come back when Graph answers about this person.' },
        `${username} is neither staff nor superuser any longer: Graph has not answered about them for longer ` +
          'than sync.privilegedStaleness',
      ),
    failing: (error, people, correlationId) =>
      log.warn(
        { ...errorFacts(error), correlationId, people },
        'people with live sessions could not be looked up again; what is known of them ages',
      ),
    broken: (error) =>
      log.warn(
        thrownFacts(error),
        'the re-evaluation broke off; the next turn tries again',
      ),
    recovered: () => log.info({}, 'people with live sessions are looked up again'),
    counted: (result, people) => meter.reevaluated(result, people),
    groupMissing(name, username) {
      meter.groupMissing()
      if (saidMissing.has(name)) return
      saidMissing.add(name)
      log.warn(
        { group: name, user: username, remedy: `gatehouse groups add ${JSON.stringify(name)}` },
        `Azure AD group mapping - group not found locally: ${name}`,
      )
    },
  }
}

type Mapped = Pick<SyncChange, 'groups' | 'groupsAdded' | 'groupsRemoved' | 'staff' | 'superuser'>

/** @param because labels of the Entra groups that something is granted for */
function mapped(username: string, change: Mapped, because: readonly string[]): string {
  const { groups, groupsAdded, groupsRemoved, staff, superuser } = change
  const others = because.length > MOST_NAMED ? ` and ${because.length - MOST_NAMED} more` : ''
  const why = because.length === 0 ? '' : `, because of ${because.slice(0, MOST_NAMED).join(', ')}${others}`
  const counts = `${groups.length} groups (${groupsAdded.length} added, ${groupsRemoved.length} removed)`
  return `Azure AD group mapping - user ${username}: ${counts}, staff ${staff}, superuser ${superuser}${why}`
}

/** In the text of a line; the field `because` has them all. */
const MOST_NAMED = 5
