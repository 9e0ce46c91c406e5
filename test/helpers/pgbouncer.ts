// Real PgBouncer in front of a test's database.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePorts } from './gateway.js'
import { freshDatabase } from './postgres.js'
import { program, run, type Running } from './programs.js'
import { folder } from './proxies.js'

export interface Pooled {
  /** The database itself. */
  readonly direct: string
  /** The same through PgBouncer. */
  readonly pooled: string
  readonly pgbouncer: Running
}

/** @param settings further ones of the section [pgbouncer] @returns undefined where it is not installed */
export async function startPgbouncer(
  t: Test,
  mode: 'session' | 'transaction',
  settings: Readonly<Record<string, string | number>> = {},
): Promise<Pooled | undefined> {
  const path = program(t, 'pgbouncer')
  if (path === undefined) return undefined
  const direct = await freshDatabase(t)
  const { hostname, port, username, password, pathname } = new URL(direct)
  const [listen = 0] = await freePorts(1)
  const file = join(folder(t, 'pgbouncer'), 'pgbouncer.ini')
  const lines = {
    listen_addr: '127.0.0.1',
    listen_port: listen,
    unix_socket_dir: '',
    auth_type: 'any',
    pool_mode: mode,
    ignore_startup_parameters: 'statement_timeout, lock_timeout, idle_in_transaction_session_timeout',
    ...settings,
  }
  writeFileSync(
    file,
    `[databases]
* = host=${hostname} port=${port || 5432} user=${decodeURIComponent(username)} password=${decodeURIComponent(password)}
[pgbouncer]
${Object.entries(lines).map(([name, value]) => `${name} = ${value}`).join('\n')}
`,
  )
  const somebody = process.getuid?.() === 0 ? ['-u', 'nobody'] : [] // it does not run as root; the file is read before
  const pgbouncer = await run(t, path, [...somebody, file], { port: listen })
  return { direct, pooled: `postgres://${username}@127.0.0.1:${listen}${pathname}`, pgbouncer }
}
