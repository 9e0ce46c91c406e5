// A real PostgreSQL for each test: a fresh database on TEST_DATABASE_URL's server, or on a throw-away embedded one.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import root, { type Test } from 'tap'
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/store/embedded.js'

let embedded: Promise<EmbeddedPostgres> | undefined

async function serverUrl(): Promise<string> {
  if (process.env.TEST_DATABASE_URL) return process.env.TEST_DATABASE_URL
  embedded ??= startThrowAwayServer()
  return (await embedded).url
}

/** Stops with the root test: after the teardowns of every test that uses one of its databases. */
function startThrowAwayServer(): Promise<EmbeddedPostgres> {
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-test-'))
  const started = startEmbeddedPostgres(home, { tcp: true, throwAway: true })
  root.teardown(async () => {
    await (await started).stop()
    rmSync(home, { recursive: true, force: true })
  })
  return started
}

/** @returns address of an empty database that is dropped with the test */
export async function freshDatabase(t: Test): Promise<string> {
  const server = await serverUrl()
  const name = `t_${randomBytes(8).toString('hex')}`
  await run(server, `create database ${name}`)
  t.teardown(() => run(server, `drop database if exists ${name} with (force)`))
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}

async function run(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(statement)
  await client.end()
}
