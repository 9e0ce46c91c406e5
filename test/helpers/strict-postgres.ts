// A PostgreSQL with a pg_hba.conf, settings and a certificate of the test's own, to be refused by in every way there
// is.
import { chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { Test } from 'tap'
import { createServerIdentity } from '../../src/demo/entra/certificates.js'
import { startEmbeddedPostgres } from '../../src/store/embedded.js'

export interface StrictPostgres {
  /** As the superuser, who always gets in. */
  readonly url: string
  /** The certificate of the authority (PEM), a file. */
  readonly caFile: string
  /** As somebody else, to another database, with parameters. */
  urlOf(
    wish: { user?: string, password?: string, database?: string, host?: string, port?: number, query?: string },
  ): string
  run(...statements: string[]): Promise<void>
  /** Lines of pg_hba.conf above the one that lets the superuser in, in force at once. */
  admit(...lines: string[]): Promise<void>
}

const PASSWORD = 'right-password'

/** @param hosts names and addresses in the server's certificate; TLS is on */
export async function startStrictPostgres(t: Test, hosts: string[]): Promise<StrictPostgres> {
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-strict-'))
  const { url, stop } = await startEmbeddedPostgres(home, { tcp: true })
  t.teardown(async () => {
    await stop()
    rmSync(home, { recursive: true, force: true })
  })
  const cluster = join(home, 'postgres')
  const { caPem, cert, key } = createServerIdentity(hosts)
  const caFile = join(home, 'ca.pem')
  writeFileSync(caFile, caPem)
  const { uid, gid } = statSync(cluster)
  for (const [name, text] of [['server.crt', cert], ['server.key', String(key)]] as const) {
    const file = join(cluster, name)
    writeFileSync(file, text, { mode: 0o600 })
    if (process.getuid?.() === 0) chownSync(file, uid, gid)
  }
  const run = async (...statements: string[]): Promise<void> => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    for (const statement of statements) await client.query(statement)
    await client.end()
  }
  const hba = join(cluster, 'pg_hba.conf')
  const usual = readFileSync(hba, 'utf8')
  const admit = async (...lines: string[]): Promise<void> => {
    writeFileSync(hba, ['host all gatehouse 127.0.0.1/32 scram-sha-256', ...lines, usual].join('\n'))
    await run('select pg_reload_conf()')
  }
  await run("alter system set ssl = 'on'", 'select pg_reload_conf()')
  return {
    url,
    caFile,
    urlOf({ user, password = PASSWORD, database, host, port, query }) {
      const other = new URL(url)
      if (user !== undefined) [other.username, other.password] = [user, password]
      if (database !== undefined) other.pathname = `/${database}`
      if (host !== undefined) other.hostname = host
      if (port !== undefined) other.port = String(port)
      other.search = query ?? ''
      return other.href
    },
    run,
    admit,
  }
}
