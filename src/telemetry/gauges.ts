// Names and descriptions of the metrics that the parts of the program register when they are opened (core/meter.ts).
import type { Aggregator, Registry } from 'prom-client'
import type { GaugeName, LabelledGaugeName, Meter } from '../core/meter.js'
import { gauge, labelledCounter, labelledGauge, type Described } from './plain-metrics.js'

/** What several workers show together: the sum only where each of them has its own. */
type Gauge = Described & { readonly aggregator: Aggregator }

const GAUGES: Readonly<Record<GaugeName, Gauge>> = {
  cachedSessions: { name: 'gatehouse_cached_sessions', help: 'Sessions in memory.', aggregator: 'sum' },
  changeListenerUp: {
    name: 'gatehouse_change_listener_up',
    help: '1 if the change feed is healthy; 0: session cache bypassed, every check reads the database.',
    aggregator: 'min',
  },
  configReloadSuccess: {
    name: 'gatehouse_config_reload_success',
    help: '1: the configuration file is in force; 0: the last reload was refused.',
    aggregator: 'min',
  },
  configReloadSuccessTimestamp: {
    name: 'gatehouse_config_reload_success_timestamp_seconds',
    help: 'When a configuration file was last put in force.',
    aggregator: 'min',
  },
  graphThrottledUntil: {
    name: 'gatehouse_graph_throttled_until_seconds',
    help: 'Unix time until which Graph asked sign-ins to wait; 0: it does not.',
    aggregator: 'max',
  },
  credentialExpiry: {
    name: 'gatehouse_entra_credential_expiry_timestamp_seconds',
    help: 'Unix time at which the certificate or the client secret ends; absent where that is not known.',
    aggregator: 'min',
  },
  superusers: { name: 'gatehouse_superusers', help: 'Active people who are superusers.', aggregator: 'max' },
  lostHistoryTimestamp: {
    name: 'gatehouse_database_history_lost_timestamp_seconds',
    help: 'Unix time at which this replica last noticed that the database had lost acknowledged changes; 0: never.',
    aggregator: 'max',
  },
  oldestTransaction: {
    name: 'gatehouse_database_oldest_transaction_seconds',
    help: 'Age of the oldest transaction that keeps PostgreSQL from removing dead rows, as far as the role may see.',
    aggregator: 'max',
  },
  databaseWaiting: {
    name: 'gatehouse_database_waiting',
    help: 'Work that waits for a connection of the pool.',
    aggregator: 'sum',
  },
  reevaluationHere: {
    name: 'gatehouse_sync_here',
    help: '1 on the replica that runs the re-evaluation.',
    aggregator: 'max',
  },
  reevaluationDeltasRead: {
    name: 'gatehouse_sync_delta_read_timestamp_seconds',
    help: 'When this replica last read all changes that Graph reports (delta queries); 0: never.',
    aggregator: 'max',
  },
  reevaluationLag: {
    name: 'gatehouse_sync_lag_seconds',
    help: 'Age of the oldest re-evaluation among users with active sessions, as of the last run of this replica.',
    aggregator: 'max',
  },
  auditExportPending: {
    name: 'gatehouse_audit_export_pending',
    help: 'Events of the audit that are not exported yet; at most 10,000 are counted.',
    aggregator: 'max',
  },
  auditExportAge: {
    name: 'gatehouse_audit_export_oldest_pending_seconds',
    help: 'Age of the oldest event of the audit that is not exported yet; 0: there is none.',
    aggregator: 'max',
  },
}

const LABELLED: Readonly<Record<LabelledGaugeName, Gauge & { readonly label: string }>> = {
  replicas: {
    name: 'gatehouse_replicas',
    help: "Replicas on this database whose announcements arrive, by configuration: same as this one's, or different.",
    label: 'config',
    aggregator: 'max',
  },
  databaseConnections: {
    name: 'gatehouse_database_connections',
    help: 'Connections of the pool, by state.',
    label: 'state',
    aggregator: 'sum',
  },
  workers: {
    name: 'gatehouse_workers',
    help: 'Processes that share the port (server.workers), by state.',
    label: 'state',
    aggregator: 'sum',
  },
}

const REVOCATIONS = {
  name: 'gatehouse_revocations_total',
  help: 'Revocations in the audit since this replica started, by action; every replica counts all.',
  label: 'action',
  aggregator: 'max',
} as const

export function registeredGauges(registry: Registry): Pick<Meter, 'gauge' | 'gauges' | 'counts'> {
  return {
    gauge: (name, read) => gauge(GAUGES[name], read, registry),
    gauges(name, read) {
      const { label, ...described } = LABELLED[name]
      const series = () => Object.entries(read()).map(([value, count]) => [{ [label]: value }, count] as const)
      labelledGauge({ ...described, labels: [label] }, series, registry)
    },
    counts: (_name, read) => labelledCounter(REVOCATIONS, () => Object.entries(read()), registry),
  }
}
