// What reading the counts of the console takes, with a month of four replicas and forty keys, all of them counted in
// every minute. Prints; judges nothing.
import { createActivityReader } from '../dist/store/activity-reader.js'
import { openDatabase } from '../dist/store/database.js'
import { median, openStage, say } from './stage.mjs'

const REPLICAS = 4
const KEYS = { answer: 6, sign_in: 4, rule: 30 }
const ROUNDS = 20
const DAY_MS = 86_400_000

const stage = await openStage()
const database = openDatabase({ server: stage.url, poolSize: 2 })
try {
  await seed()
  const [{ mb, rows }] = await stage.query(`select (select count(*) from activity_counts)::int as rows,
    (sum(pg_total_relation_size(inhrelid)) / 1e6)::int as mb from pg_inherits
    where inhparent = 'activity_counts'::regclass`)
  say(`${rows} rows, ${mb} MB with the index`)
  const reader = createActivityReader(database)
  for (const [days, bucket] of [[1, 'minute'], [1, 'hour'], [7, 'hour'], [30, 'hour'], [30, 'day']]) {
    for (const kind of ['answer', 'rule']) {
      await measure(
        `${KEYS[kind]} keys, ${days} days by ${bucket}`,
        () => reader.series({ kind, bucket, range: days * DAY_MS }),
      )
    }
  }
  await measure('hits of 30 rules in 1, 7 and 30 days, and the last one', () => reader.ruleHits())
} finally {
  await database.close()
  await stage.close()
}

async function seed() {
  const day = (ahead) => new Date(Date.now() + ahead * DAY_MS).toISOString().slice(0, 10)
  for (let ahead = -31; ahead <= 1; ahead++) {
    const name = `activity_counts_${day(ahead).replaceAll('-', '_')}`
    await stage.query(`create table ${name} partition of activity_counts for values from ('${day(ahead)}Z')
      to ('${day(ahead + 1)}Z') with (fillfactor = 70)`)
  }
  for (const [kind, keys] of Object.entries(KEYS)) {
    await stage.query(
      `insert into activity_counts
      select hour, $1, left(md5(key::text), 16), ('00000000-0000-4000-8000-' || lpad(replica::text,
        12, '0'))::uuid, 60 * key, array_fill(key, array[60])
      from generate_series(date_trunc('hour', now()) - interval '30 days', now(), interval '1 hour') hour,
        generate_series(1, ${keys}) key, generate_series(1, ${REPLICAS}) replica`,
      [kind],
    )
  }
  await stage.query('vacuum (analyze) activity_counts')
}

async function measure(name, read) {
  const times = []
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now()
    await read()
    times.push(performance.now() - began)
  }
  say(`${name}: p50 ${median(times).toFixed(1)} ms, at most ${Math.max(...times).toFixed(0)} ms`)
}
