// The state of the installation over the API: its parts, its signing keys, and what it answered over time.
import Type, { type TSchema } from 'typebox'
import { RANGES, type Range } from '../../../admin/overview.js'
import type { Part } from '../../../core/health.js'
import { defineEndpoint } from './endpoint.js'
import { closed, instant, nullable } from './schema.js'

const text = (description: string) => Type.String({ description })
const number = (description: string) => Type.Number({ description })
const flag = (description: string) => Type.Boolean({ description })

/** A part that does not answer has no value, and says why. */
function part<Value extends TSchema>(value: Value) {
  return closed({
    state: text('`read`, or `unreachable`: it did not answer within a second, or failed.'),
    code: nullable(text('Why it could not be read: a code of docs/errors.md, or `timeout`.')),
    value: nullable(value),
  })
}

function partOf<T>(read: Part<T>): { readonly state: string, readonly code: string | null, readonly value: T | null } {
  return read.state === 'read' ? { ...read, code: null } : { ...read, value: null }
}

const reach = closed({
  state: text('`ok`, `failing`, or `unknown` before the first request.'),
  since: nullable(instant('Since when.')),
  lastSuccessAt: nullable(instant('Of the last good answer to the replica that answers.')),
})

const key = closed({
  kid: Type.String({ examples: ['cEYg5wV0g5Yp5iR9O0cY2Q7Yk2b1c0dA'] }),
  state: text('`next`: published, does not sign yet; `signing`; `retired`: still published.'),
  createdAt: instant('When it was made.'),
  activeAt: instant('From when it signs.'),
  retiredAt: nullable(instant('When its successor takes over.')),
})

const replica = closed({
  name: text('Host and port.'),
  heartbeatAt: instant('Of its last sign of life.'),
  silentSeconds: number('Since then.'),
  config: text('The first characters of the hash of its configuration.'),
  isSameConfig: flag('Whether it runs the configuration of the replica that answers.'),
  listens: flag('Whether notifications of changes reach it.'),
})

const database = closed({
  version: text('Of PostgreSQL.'),
  bytes: number('Size of the database.'),
  standbys: Type.Array(closed({
    name: text('As it calls itself.'),
    state: nullable(text('As PostgreSQL calls it; null: not shown to this role.')),
    syncState: nullable(text('Whether a commit waits for it.')),
    lagSeconds: nullable(number('Behind the primary; null: none, or not shown to this role.')),
  })),
  synchronousStandbyNames: text('Empty: no commit waits for a standby.'),
  schema: nullable(text('The last migration that is applied; null: of a later version.')),
  pending: Type.Array(Type.String(), { description: 'Migrations of this version that are not applied.' }),
})

const seals = closed({
  newest: nullable(closed({
    number: Type.Integer({ description: 'From 1 on, without gaps.' }),
    at: instant('When it was made.'),
    rows: Type.Integer({ description: 'How many rows it seals.' }),
    hash: text('The first 16 digits of its hash.'),
  })),
  overdueSeconds: nullable(number('Age of the oldest row from after the newest seal; null: there is none.')),
})

const auditExport = closed({
  isConfigured: flag('Whether the configuration has the section `audit.export`; without it nothing else is known.'),
  delivered: Type.Integer({ description: 'Events that receivers have accepted since the first export.' }),
  rejected: Type.Integer({ description: 'Of those, events that the receiver rejected for good (OTLP).' }),
  deliveredUntil: nullable(instant('Of the newest event that was delivered.')),
  acceptedAt: nullable(instant('When a receiver last accepted events.')),
  acceptedSeconds: nullable(number('How long that is ago.')),
  pending: Type.Integer({ description: 'Events that are not delivered; at most 10,000 are counted.' }),
  oldestPendingSeconds: nullable(number('Age of the oldest of them; null: there is none.')),
  failing: nullable(closed({
    since: instant('The first failure since events were last accepted.'),
    cause: text('`unreachable`, `timeout`, `redirected`, `refused` or `unavailable`.'),
    detail: text('What happened at the last attempt.'),
    failures: Type.Integer({ description: 'Attempts that have failed since then.' }),
    retryAt: instant('The next attempt.'),
    events: Type.Integer({ description: 'How many events the batch had that failed last.' }),
    firstId: nullable(text('The id of the first of them.')),
    firstAt: nullable(instant('Its time.')),
  })),
  isRetentionWaiting: flag('Whether rows past `audit.retention` are kept because they are not delivered.'),
})

export const health = defineEndpoint({
  method: 'GET',
  path: '/health',
  permission: 'gatehouse.read',
  summary: 'The state of each part of the installation',
  description: 'Answers within two seconds: a part that does not answer is shown as such.',
  response: closed({
    version: text('Of Gatehouse.'),
    isReady: flag('What /readyz says of the replica that answers.'),
    servers: closed({
      isEmbedded: flag('Whether Gatehouse runs its own PostgreSQL.'),
      hosts: Type.Array(closed({
        host: text('host:port'),
        state: text('`current`, `accepts writes`, `read-only` or `unreachable`.'),
        timeline: nullable(text('Hexadecimal; null: not shown to this role.')),
      })),
      changes: text('Whether changes reach this replica.'),
    }),
    entra: closed({
      entra: reach,
      graph: reach,
      throttledUntil: nullable(instant('Until when Graph asked for a pause.')),
      credential: text('`secret`, `certificate` or `federated`.'),
      credentialEndsAt: nullable(instant('Null: not known.')),
    }),
    sync: closed({
      isConfigured: flag('Whether the configuration has the section `sync`.'),
      isLeader: flag('Whether the replica that answers re-evaluates.'),
      failing: nullable(text('The code of a failure that persists.')),
      lagSeconds: number('Age of the oldest snapshot of a user with an active session.'),
      lastRun: nullable(closed({
        at: instant('When it ended.'),
        processed: Type.Integer({ description: 'Users whose result was applied.' }),
        failed: Type.Integer({ description: 'Users that failed.' }),
      })),
    }),
    config: closed({
      hash: text('The first characters of the hash of the configuration in force.'),
      refused: nullable(closed({ since: instant('Since when a changed file is refused.'), reason: text('Why.') })),
      findings: nullable(Type.Array(closed({
        path: text('The key of the configuration.'),
        code: text('Stable.'),
        place: text('file:line:column'),
        message: text('What is found.'),
        remedy: nullable(text('What to do.')),
      }))),
    }),
    database: part(database),
    replicas: part(Type.Array(replica)),
    keys: part(Type.Array(key)),
    seals: part(seals),
    auditExport: part(auditExport),
    todo: Type.Array(
      closed({
        urgency: text('`bad` or `warn`.'),
        code: text('Stable.'),
        message: text('What is found.'),
        remedy: nullable(text('What to do.')),
      }),
      { description: 'What to do, the most urgent first.' },
    ),
  }),
  async handle({ useCases }) {
    const read = await useCases.health.read()
    const { database: server, replicas, keys: signing, seals: sealed, auditExport: exported, ...known } = read
    return {
      ...known,
      database: partOf(server),
      replicas: partOf(replicas),
      keys: partOf(signing),
      seals: partOf(sealed),
      auditExport: partOf(exported),
    }
  },
})

export const keys = defineEndpoint({
  method: 'GET',
  path: '/keys',
  permission: 'gatehouse.read',
  summary: 'The keys that sign assertions, without their private parts',
  response: closed({ items: Type.Array(key), next: nullable(text('Always null: there are few keys.')) }),
  handle: async ({ useCases }) => ({ items: await useCases.keys.list(), next: null }),
})

const series = Type.Array(closed({
  key: text('`allowed`, `not_signed_in`, `completed`, or a code of docs/errors.md.'),
  counts: Type.Array(Type.Integer(), { description: 'One for each bucket.' }),
  total: Type.Integer(),
}))

export const answerMetrics = defineEndpoint({
  method: 'GET',
  path: '/metrics/answers',
  permission: 'gatehouse.read',
  summary: 'Answers to proxies and sign-ins over time',
  query: Type.Object({ range: Type.Optional(Type.String({ enum: Object.keys(RANGES), default: '24h' })) }),
  response: closed({
    range: Type.String({ enum: Object.keys(RANGES) }),
    bucket: text('`hour` or `day`, in UTC.'),
    readAt: instant('The counts are kept for some seconds.'),
    buckets: Type.Array(instant('The start of a bucket.')),
    answers: series,
    signIns: series,
    levels: Type.Array(closed({
      key: text('`superusers` or `staff`: active users with the flag.'),
      counts: Type.Array(Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]), {
        description: 'One for each bucket: the largest number, or null where it was not counted.',
      }),
      last: Type.Integer({ minimum: 0 }),
    })),
  }),
  async handle({ useCases, query }) {
    const read = await useCases.overview.answers((query.range ?? '24h') as Range)
    const { range, bucket, readAt, answers, signIns, levels } = read
    const counted = ({ series: all }: typeof answers) =>
      all.map(({ key: of, counts, total }) => ({ key: of, counts: counts.map((count) => count ?? 0), total }))
    return {
      range,
      bucket,
      readAt: new Date(readAt).toISOString(),
      buckets: answers.buckets.map((start) => start.toISOString()),
      answers: counted(answers),
      signIns: counted(signIns),
      levels: levels.series.map(({ key: of, counts, total: last }) => ({ key: of, counts: [...counts], last })),
    }
  },
})
