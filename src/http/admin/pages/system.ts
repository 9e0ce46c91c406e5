// The page of the installation: its parts, replicas, database servers, signing keys, and what is to be done.
import { SILENT_SECONDS, type Health } from '../../../admin/health.js'
import type { DatabaseState, KeyView, ReplicaHealth, Standby } from '../../../core/health.js'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { emptyState, facts, idText, nameText, section, tag, timeText } from './components.js'
import { doctorSection } from './doctor.js'
import { keyActs } from './key-acts.js'
import { defineAdminPage } from './page.js'
import {
  credentialText,
  databaseText,
  durationText,
  exportText,
  partText,
  reachText,
  replicasLine,
  sealsText,
  syncText,
  todoList,
} from './system-parts.js'
import { dataTable } from './table.js'

export const systemPage = defineAdminPage({
  path: '/admin/system',
  permission: 'gatehouse.read',
  title: 'System',
  async render({ useCases, actor }) {
    const health = await useCases.health.read()
    return {
      title: 'System',
      lead: html`Gatehouse ${health.version}. Whatever does not answer within a second is shown as such.`,
      content: html`${section({ id: 'todo', title: 'To do', content: todoList(health.todo) })}
${doctorSection(actor)}
${section({ id: 'parts', title: 'Parts', content: parts(health) })}
${section({ id: 'replicas', title: 'Replicas', content: partText(health.replicas, replicaTable) })}
${section({ id: 'database', title: 'Database', content: databaseSection(health) })}
${section({ id: 'keys', title: 'Signing keys', lead: KEYS_LEAD, content: keysSection(health, actor) })}`,
    }
  },
})

const KEYS_LEAD = 'Applications verify assertions with their public halves.'

function keysSection({ keys }: Health, actor: AdminActor): Html {
  return html`${partText(keys, keyTable)}${keyActs(actor)}`
}

function parts(health: Health): Html {
  const { entra: { entra, graph, throttledUntil }, config, servers, isReady } = health
  const refused = config.refused
  return facts([
    ['This replica', isReady ? tag('ready', 'good') : tag('not ready', 'bad')],
    [
      'Configuration',
      html`${
        refused === null
          ? tag('in force', 'good')
          : html`${tag('a changed file is refused', 'bad')} since ${timeText(refused.since)}: ${
            nameText(refused.reason)
          }`
      } ${idText(config.hash)}${config.findings === null ? html` Its findings: <code>gatehouse check</code>` : ''}`,
    ],
    ['Replicas', replicasLine(health, SILENT_SECONDS)],
    ['Entra ID', reachText(entra)],
    [
      'Microsoft Graph',
      html`${reachText(graph)}${
        throttledUntil === null ? '' : html`, ${tag('throttled', 'warn')} until ${timeText(throttledUntil)}`
      }`,
    ],
    ['Credential', credentialText(health)],
    ['Re-evaluation', syncText(health)],
    ['Database', databaseText(health)],
    ['Audit seals', sealsText(health)],
    ['Audit export', exportText(health)],
    ['Changes', servers.changes],
  ])
}

function replicaTable(replicas: readonly ReplicaHealth[]): Html {
  return dataTable({
    caption: 'Replicas',
    columns: [
      { heading: 'Replica', cell: ({ name }: ReplicaHealth) => nameText(name) },
      { heading: 'State', cell: stateOfReplica },
      { heading: 'Configuration', cell: configurationOf },
      { heading: 'Notified of changes', cell: ({ listens }) => listens ? 'yes' : 'no: it polls' },
      { heading: 'Last heartbeat', kind: 'time', cell: ({ heartbeatAt }) => timeText(heartbeatAt) },
    ],
    rows: replicas,
    empty: emptyState({ title: 'No replica has written a heartbeat.', next: 'The change feed is not connected yet.' }),
  })
}

function stateOfReplica({ silentSeconds }: ReplicaHealth): Html {
  return silentSeconds < SILENT_SECONDS
    ? tag('runs', 'good')
    : html`${tag('silent', 'warn')} for ${durationText(silentSeconds)}`
}

function configurationOf({ isSameConfig, config }: ReplicaHealth): Html {
  return html`${isSameConfig ? tag('equal', 'good') : tag('different', 'warn')} ${idText(config)}`
}

function databaseSection({ database, servers }: Health): Html {
  const hosts = dataTable({
    caption: 'Database servers',
    columns: [
      { heading: 'Server', cell: ({ host }: Health['servers']['hosts'][number]) => nameText(host) },
      { heading: 'State', cell: ({ state }) => tag(STATES[state].text, STATES[state].tone) },
      { heading: 'Timeline', cell: ({ timeline }) => timeline ?? 'not shown' },
    ],
    rows: servers.hosts,
    empty: html``,
  })
  return html`${hosts}${partText(database, databaseFacts)}`
}

const STATES = {
  'current': { text: 'is used', tone: 'good' },
  'accepts writes': { text: 'accepts writes and is not used', tone: 'bad' },
  'read-only': { text: 'standby', tone: 'plain' },
  'unreachable': { text: 'does not answer', tone: 'warn' },
} as const

function databaseFacts({ version, bytes, schema, pending, standbys, synchronousStandbyNames }: DatabaseState): Html {
  const migrations = pending.length === 0 ? tag('complete', 'good') : tag(`${pending.length} not applied`, 'bad')
  return html`${
    facts([
      ['PostgreSQL', version],
      ['Size', `${Math.ceil(bytes / 1_048_576)} MB`],
      ['Tables', html`${migrations} ${schema === null ? 'of a later version' : idText(schema)}`],
      ['A commit waits for', synchronousStandbyNames === '' ? 'no standby' : nameText(synchronousStandbyNames)],
    ])
  }${standbys.length === 0 ? '' : standbyTable(standbys)}`
}

function standbyTable(standbys: readonly Standby[]): Html {
  return dataTable({
    caption: 'Standbys',
    columns: [
      { heading: 'Standby', cell: ({ name }: Standby) => nameText(name) },
      { heading: 'State', cell: ({ state }) => state ?? 'not shown' },
      { heading: 'Commit', cell: ({ syncState }) => syncState ?? 'not shown' },
      {
        heading: 'Lag',
        cell: ({ lagSeconds }) => lagSeconds === null ? 'none, or not shown' : durationText(lagSeconds),
      },
    ],
    rows: standbys,
    empty: html``,
  })
}

function keyTable(keys: readonly KeyView[]): Html {
  return dataTable({
    caption: 'Signing keys',
    columns: [
      { heading: 'Key', cell: ({ kid }: KeyView) => idText(kid) },
      { heading: 'State', cell: ({ state }) => tag(state, state === 'signing' ? 'good' : 'plain') },
      { heading: 'Created', kind: 'time', cell: ({ createdAt }) => timeText(createdAt) },
      { heading: 'Signs from', kind: 'time', cell: ({ activeAt }) => timeText(activeAt) },
      { heading: 'Retired', kind: 'time', cell: ({ retiredAt }) => timeText(retiredAt) },
    ],
    rows: keys,
    empty: emptyState({ title: 'There are no keys yet.', next: 'The first start makes one.' }),
  })
}
