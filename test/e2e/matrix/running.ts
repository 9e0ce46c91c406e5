// All proxies of the matrix, each started once and kept for all columns, with people who are signed in through it.
import type { Test } from 'tap'
import { PERSON_IDS } from '../../../src/demo/people.js'
import { pickPerson } from '../../helpers/gateway.js'
import { PROXIES, startProxy, type Proxy } from '../../helpers/proxies-all.js'
import { APP, browserAt, listeningOn, startScene, type Scene } from '../../helpers/proxies-scene.js'
import { startRelay } from '../../helpers/relay.js'
import { startTcpFaultProxy, type TcpFaultProxy } from '../../helpers/tcp-fault-proxy.js'
import type { Column, Context } from './context.js'

const ACCESS = {
  default: 'authenticated',
  rules: [
    { hosts: ['status.example.com'], allow: 'anyone' },
    { hosts: ['wiki.example.com'], paths: ['/admin/**', '/admin'], allow: { staff: true } },
    { hosts: ['wiki.example.com'], paths: ['/open/**'], allow: 'anyone' },
    { hosts: ['wiki.example.com:8443'], paths: ['/ported/**'], allow: 'anyone' },
  ],
}

export type Cells = Map<string, Map<string, string>>

export interface Matrix {
  /** Asks every proxy every row of a column, and keeps what becomes of it. */
  run(t: Test, column: Column): Promise<void>
  /** The same, all proxies at a time: for rows in which they do nothing but wait. */
  runTogether(t: Test, column: Column): Promise<void>
  /** Column and row -> proxy -> cell. */
  readonly cells: ReadonlyMap<Column, Cells>
  /** A proxy that runs, with its people; undefined where the test was skipped. */
  prepared(proxy: Proxy): Promise<Prepared | undefined>
  /** Whether every proxy has answered every row. */
  complete(): boolean
}

export type Prepared = Omit<Context, 't'>

/** @param root lives as long as the proxies do */
export function createMatrix(root: Test, proxies: readonly Proxy[] = PROXIES): Matrix {
  const scenes = new Map<string, Promise<{ scene: Scene, database: TcpFaultProxy }>>()
  const running = new Map<Proxy, Promise<Prepared | undefined>>()
  const cells = new Map<Column, Cells>()

  const sceneFor = (headers: string) => {
    const known = scenes.get(headers) ?? openScene(root, headers)
    scenes.set(headers, known)
    return known
  }
  const prepared = (proxy: Proxy) => {
    const known = running.get(proxy) ??
      sceneFor(proxy.authRequestHeaders ?? 'original').then(async (opened) => await prepare(root, proxy, opened))
    running.set(proxy, known)
    return known
  }
  const rowsOf = (column: Column): Cells => {
    const rows: Cells = new Map(column.rows.map(({ title }) => [title, new Map<string, string>()]))
    cells.set(column, rows)
    return rows
  }
  const ask = async (t: Test, proxy: Proxy, column: Column, rows: Cells): Promise<void> => {
    if (proxy.missing(t)) return
    const ready = await prepared(proxy)
    if (ready === undefined) return
    for (const row of column.rows) rows.get(row.title)?.set(proxy.name, await row.ask({ ...ready, t }))
  }
  return {
    cells,
    prepared,
    complete: () => [...cells.values()].every((rows) => [...rows.values()].every((row) => row.size === proxies.length)),
    async run(t, column) {
      const rows = rowsOf(column)
      for (const proxy of proxies) await t.test(proxy.name, async (t) => await ask(t, proxy, column, rows))
    },
    async runTogether(t, column) {
      const rows = rowsOf(column)
      t.jobs = proxies.length
      await Promise.all(
        proxies.map((proxy) => t.test(proxy.name, { buffered: true }, async (t) => await ask(t, proxy, column, rows))),
      )
    },
  }
}

async function openScene(t: Test, authRequestHeaders: string): Promise<{ scene: Scene, database: TcpFaultProxy }> {
  const doors: TcpFaultProxy[] = []
  const scene = await startScene(t, {
    config: { server: { authRequestHeaders }, session: { outageGrace: '0s' }, access: ACCESS, log: { level: 'error' } },
    async throughProxy(url) {
      doors.push(await startTcpFaultProxy(t, url))
      return doors[0]?.url ?? url
    },
  })
  const [database] = doors
  if (database === undefined) throw new Error('no door')
  return { scene, database }
}

async function prepare(
  root: Test,
  proxy: Proxy,
  { scene, database }: { scene: Scene, database: TcpFaultProxy },
): Promise<Prepared | undefined> {
  const relay = await startRelay(root, listeningOn(scene.gateway))
  const started = await startProxy(root, proxy, { ...scene, gateway: relay.address })
  if (started === undefined) return undefined
  const signIn = async (person: string, path: string): Promise<{ cookie: string, told: string }> => {
    const browser = browserAt(started.address)
    const { status, trail } = await pickPerson(browser, await browser.follow(`https://${APP}${path}`), person)
    const back = trail.at(-1) === `https://${APP}${path}`
    return {
      cookie: browser.cookieHeader(`https://${APP}/`),
      told: `${status}${back ? ', the same address' : ` at ${trail.at(-1)}`}`,
    }
  }
  const people = {
    staff: (await signIn(PERSON_IDS.staff, '/')).cookie,
    ordinary: (await signIn(PERSON_IDS.guest, '/')).cookie,
  }
  return {
    proxy,
    started,
    scene,
    database,
    relay,
    people,
    signInAgain: async (path) => (await signIn(PERSON_IDS.staff, path)).told,
  }
}
