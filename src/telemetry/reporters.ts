// Log lines and metrics of logins and re-evaluations. Lines about the mapping contain `Azure AD group mapping`, which
// operators search for.
import type { Logger } from 'pino'
import type { DeltaKind, SignalReporter } from '../core/change-signals.js'
import { errorFacts, thrownFacts } from '../core/errors.js'
import type { LoginReporter } from '../core/login.js'
import type { Meter } from '../core/meter.js'
import type { GrantChange } from '../core/grants.js'
import type { ReevaluationReporter, SessionEndReason } from '../core/reevaluation.js'

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

const SESSION_END_REASONS: Readonly<Record<SessionEndReason, string>> = {
  disabled: 'the account is disabled in Entra ID',
  deleted: 'the account is deleted in Entra ID',
  revoked: 'Entra ID revoked the sessions of this account',
  refused: 'the mapping grants nothing and requireMappedGroup is set',
  stale_session: 'the last successful re-evaluation is older than sync.maxStaleness',
}

const HIDDEN_MEMBERSHIP =
  'If the membership did not end in Entra ID, the group hides its members from applications: grant the application ' +
  'permission Member.Read.Hidden with admin consent (docs/revocation.md).'

export function createReevaluationReporter(
  log: Logger,
  meter: Pick<Meter, 'groupMissing' | 'reevaluated'>,
): ReevaluationReporter {
  const loggedMissing = new Set<string>()
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
    sessionsEnded: ({ username, userId }, why, sessions, correlationId) =>
      log.info(
        { correlationId, user: username, userId, why, sessions },
        `the sessions of ${username} ended: ${SESSION_END_REASONS[why]}`,
      ),
    groupMissing(name, username) {
      meter.groupMissing()
      if (loggedMissing.has(name)) return
      loggedMissing.add(name)
      log.warn(
        { group: name, user: username, remedy: `gatehouse groups add ${JSON.stringify(name)}` },
        `Azure AD group mapping - group not found locally: ${name}`,
      )
    },
    counted: (outcome, users) => meter.reevaluated(outcome, users),
    ...lossReports(log),
    ...failureReports(log),
  }
}

const DELTA_NAMES: Readonly<Record<DeltaKind, string>> = { users: 'accounts', groups: 'mapped groups' }
const USUAL_ORDER = 'users are re-evaluated in their usual order meanwhile'

export function createSignalReporter(log: Logger, meter: Pick<Meter, 'signalled'>): SignalReporter {
  return {
    signalled: (users) => meter.signalled(users),
    deltaFailed: (kind, error) =>
      log.warn(errorFacts(error), `delta query of ${DELTA_NAMES[kind]} failed; ${USUAL_ORDER}`),
    deltaRecovered: (kind) => log.info({}, `delta query of ${DELTA_NAMES[kind]} works again`),
    deltaRestarted: (chains) =>
      log.info({ chains }, `Graph does not continue delta queries, which begin again; ${USUAL_ORDER}`),
    groupsNotFollowed: (groups) =>
      groups === 0
        ? log.info({}, 'all groups inside the mapped ones are in delta queries again')
        : log.warn({ groups }, `too many groups inside the mapped ones for delta queries; ${USUAL_ORDER}`),
  }
}

function lossReports(log: Logger): Pick<ReevaluationReporter, 'signInGrantsLost' | 'privilegesExpired'> {
  return {
    signInGrantsLost: ({ username, userId }, lost, correlationId) =>
      log.warn(
        { correlationId, user: username, userId, ...lost, remedy: HIDDEN_MEMBERSHIP }, // guard: adv-hidden-named
        `Azure AD group mapping - the re-evaluation removed from ${username} what a sign-in of the last half hour ` +
          'granted by the same mapping',
      ),
    privilegesExpired: ({ username, userId }) =>
      log.warn(
        { user: username, userId, remedy: 'The next successful re-evaluation of this user restores them.' },
        `staff and superuser of ${username} expired: the last successful re-evaluation is older than ` +
          'sync.privilegedStaleness',
      ),
  }
}

function failureReports(log: Logger): Pick<ReevaluationReporter, 'usersFailed' | 'runFailed' | 'recovered'> {
  return {
    usersFailed: (error, people, correlationId) =>
      log.warn(
        { ...errorFacts(error), correlationId, people },
        're-evaluation of users with active sessions failed; their groups and flags stay as they are until they expire',
      ),
    runFailed: (error) => log.warn(thrownFacts(error), 're-evaluation run failed; the next run tries again'),
    recovered: () => log.info({}, 're-evaluation of users with active sessions works again'),
  }
}

type Mapped = Omit<GrantChange, 'superseded'>

/** @param because labels of the Entra groups that something is granted for */
function mapped(username: string, change: Mapped, because: readonly string[]): string {
  const { groups, groupsAdded, groupsRemoved, staff, superuser } = change
  const others = because.length > MAX_LABELS_IN_TEXT ? ` and ${because.length - MAX_LABELS_IN_TEXT} more` : ''
  const why = because.length === 0 ? '' : `, because of ${because.slice(0, MAX_LABELS_IN_TEXT).join(', ')}${others}`
  const counts = `${groups.length} groups (${groupsAdded.length} added, ${groupsRemoved.length} removed)`
  // guard: log-line
  return `Azure AD group mapping - user ${username}: ${counts}, staff ${staff}, superuser ${superuser}${why}`
}

/** The field `because` has all of them. */
const MAX_LABELS_IN_TEXT = 5
