// A PostgreSQL that a test may kill with SIGKILL and start again at the same address, on the same data. Linux: how it
// was started is read from /proc.
import { spawn } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Test } from 'tap'
import { startEmbeddedPostgres } from '../../src/store/embedded.js'

export interface MortalPostgres {
  readonly url: string
  kill(): void
  /** Until it takes connections. */
  start(): Promise<void>
}

export async function startMortalPostgres(t: Test): Promise<MortalPostgres> {
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-mortal-'))
  const { url, stop } = await startEmbeddedPostgres(home, { tcp: true })
  let pid = Number(readFileSync(join(home, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0])
  const program = keptProgram(t, readlinkSync(`/proc/${pid}/exe`))
  const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1, -1)
  const idOf = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  const owner = { uid: idOf('Uid'), gid: idOf('Gid') }
  let ended: Promise<unknown> | undefined
  t.teardown(async () => {
    if (ended === undefined) await stop()
    else {
      process.kill(pid, 'SIGINT')
      await ended
    }
    rmSync(home, { recursive: true, force: true })
  })
  return {
    url,
    kill: () => {
      process.kill(pid, 'SIGKILL')
    },
    async start() {
      for (let tries = 0; tries < 200; tries++) {
        const child = spawn(program, args, { ...owner, stdio: 'ignore' })
        const state = { over: false }
        const end = new Promise<void>((resolve) =>
          child.once('exit', () => {
            state.over = true
            resolve()
          })
        )
        while (!state.over && !await answers(url)) await sleep(20)
        if (!state.over) {
          pid = child.pid ?? 0
          ended = end
          return
        }
        await sleep(50) // processes of the one before still hold its memory
      }
      throw new Error('PostgreSQL did not come back')
    },
  }
}

/** A copy that was made for another user goes with the server that was started from it: this one stays for the test. */
function keptProgram(t: Test, program: string): string {
  if (!program.startsWith(tmpdir())) return program
  const copy = mkdtempSync(join(tmpdir(), 'gatehouse-mortal-programs-'))
  t.teardown(() => rmSync(copy, { recursive: true, force: true }))
  cpSync(dirname(dirname(program)), copy, { recursive: true, verbatimSymlinks: true })
  chmodSync(copy, 0o755)
  return join(copy, 'bin', basename(program))
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 })
  client.on('error', () => {})
  return await client.connect().then(async () => {
    await client.end()
    return true
  }, () => false)
}
