// Counters and timers. Labels never contain names of users, groups or applications.

/** What a part of the program registers when it is opened: read each time the metrics are collected. */
export type GaugeName =
  | 'cachedSessions'
  | 'changeListenerUp'
  | 'configReloadSuccess'
  | 'configReloadSuccessTimestamp'
  | 'graphThrottledUntil'
  | 'credentialExpiry'
  | 'superusers'
  | 'databaseWaiting'
  | 'lostHistoryTimestamp'
  | 'oldestTransaction'
  | 'reevaluationHere'
  | 'reevaluationLag'
  | 'reevaluationDeltasRead'
  | 'auditExportPending'
  | 'auditExportAge'

export type LabelledGaugeName = 'replicas' | 'databaseConnections' | 'workers'

export interface Meter {
  /** @param read undefined where the value is not known: the metric is absent then */
  gauge(name: GaugeName, read: () => number | undefined): void
  /** @param read the value for each value of the metric's label */
  gauges(name: LabelledGaugeName, read: () => Readonly<Record<string, number>>): void
  /** Counters that another part counts. @param read the count for each value of the metric's label */
  counts(name: 'revocations', read: () => Readonly<Record<string, number>>): void
  /** A forward-auth answer. @param endpoint path of the dialect */
  answered(endpoint: string, status: number, seconds: number): void
  /** Session lookups by source; `grace`: from memory while the database was unreachable. */
  readonly sessionLookups: { memory: number, database: number, none: number, grace: number }
  /** A browser was sent to Entra ID. */
  loginStarted(): void
  /** An answer of userinfo. */
  userinfo(status: number): void
  /** @param result `ok`, or the code of the failure @param seconds of the callback */
  login(result: string, seconds: number): void
  /** A request that left for Microsoft; status 0: no answer. */
  upstream(part: 'entra' | 'graph', status: number, seconds: number): void
  /** A mapped local group that does not exist was skipped. */
  groupMissing(): void
  /** access.default decided about a signed-in user, at a host that no rule names. */
  hostUnnamed(): void
  /** A refused request. @param code of core/errors.ts, or `other` @param withheld its log line was over the budget */
  refused(code: string, withheld: boolean): void
  /** Re-evaluated users. @param outcome of REEVALUATION_OUTCOMES */
  reevaluated(outcome: string, users: number): void
  /** Users that a delta query named. */
  signalled(users: number): void
  /** Events of the audit that a receiver has accepted, and how many of them it rejected for good. */
  auditDelivered(events: number, rejected: number): void
  /** @param cause of EXPORT_FAILURES */
  auditDeliveryFailed(cause: string): void
}
