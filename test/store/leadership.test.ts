// One replica at a time: who has the lock when its holder dies, is cut off, or lets go.
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createLock } from '../../src/store/leadership.js'
import { serverAt, type DatabaseServer } from '../../src/store/server-of-record/server-of-record.js'
import { freshDatabase } from '../helpers/postgres.js'
import { connect, endConnections } from '../helpers/sql.js'
import { startTcpFaultProxy } from '../helpers/tcp-fault-proxy.js'

t.test('a holder that is killed has it no longer', async (t) => {
  const url = await freshDatabase(t)
  const holder = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `
    const { createLock } = await import('./dist/store/leadership.js')
    console.log(await createLock({ server: ${JSON.stringify(url)}, name: 'x' }).held())
    setInterval(() => {}, 1000)`,
  ], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.equal(await new Promise((resolve) => holder.stdout.once('data', (chunk) => resolve(String(chunk).trim()))), 'true')
  const lock = createLock({ server: url, name: 'x' })
  t.teardown(() => lock.close())
  t.equal(await lock.held(), false)
  holder.kill('SIGKILL')
  for (let tries = 0; tries < 100 && !await lock.held(); tries++) await sleep(20)
  t.equal(await lock.held(), true)
})

// proves: sync-lock-unavailable
t.test('a disconnected holder gives up leadership; another takes over once PostgreSQL releases the lock', async (t) => {
  const url = await freshDatabase(t)
  const door = await startTcpFaultProxy(t, url)
  const [far, near] = [
    createLock({ server: door.url, name: 'x', timeoutMs: 300 }),
    createLock({ server: url, name: 'x' }),
  ]
  t.teardown(() => Promise.all([far.close(), near.close()]))
  t.strictSame({ far: await far.held(), near: await near.held() }, { far: true, near: false })
  door.freeze()
  await t.rejects(far.held(), { code: 'sync_lock_unavailable' })
  await t.rejects(far.held(), { code: 'sync_lock_unavailable' }, "which is not the same as another one's having it")
  t.equal(await near.held(), false)
  await endConnections(
    await connect(t, url),
    "pid in (select pid from pg_locks where locktype = 'advisory' and granted)",
  ) // what keepalives come to
  for (let tries = 0; tries < 100 && !await near.held(); tries++) await sleep(20)
  t.equal(await near.held(), true)
  door.open()
  t.equal(await far.held(), false)
})

// proves: record-lock-left
t.test('a holder gives up leadership when another server is the server of record', async (t) => {
  const url = await freshDatabase(t)
  const listeners: (() => void)[] = []
  const server: DatabaseServer = {
    ...serverAt(url),
    onChange: (listener) => {
      listeners.push(listener)
    },
  }
  const [one, two] = [createLock({ server, name: 'x' }), createLock({ server: url, name: 'x' })]
  t.teardown(() => Promise.all([one.close(), two.close()]))
  t.equal(await one.held(), true)
  for (const listener of listeners) listener()
  for (let tries = 0; tries < 100 && !await two.held(); tries++) await sleep(20)
  t.strictSame({ one: await one.held(), two: await two.held() }, { one: false, two: true })
})

t.test('a holder that lets go may take it again', async (t) => {
  const url = await freshDatabase(t)
  const [one, two] = [createLock({ server: url, name: 'x' }), createLock({ server: url, name: 'x' })]
  t.teardown(() => Promise.all([one.close(), two.close()]))
  t.strictSame({ one: await one.held(), two: await two.held() }, { one: true, two: false })
  await one.release()
  t.strictSame({ two: await two.held(), one: await one.held() }, { two: true, one: false })
  await two.release()
  t.equal(await one.held(), true)
})
