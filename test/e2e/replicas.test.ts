// Two replicas as processes behind real nginx, on a PostgreSQL of their own, under load: one after the other is
// restarted, one is killed, PostgreSQL is killed, changes cannot be heard of. Nobody may notice what nobody has to
// notice, and nothing that ended is believed for longer than the bounds say. Times are printed; only the bounds are
// judged.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Agent, request } from 'undici'
import { stringify } from 'yaml'
import { createDirectory } from '../../src/demo/directory.js'
import { signInAs } from '../../src/demo/entra/sign-in-as.js'
import { startEntra } from '../../src/demo/entra/server.js'
import { sessionIdHash } from '../../src/core/session.js'
import { DEMO_TENANT_ID, PERSON_IDS, seedDemoDirectory } from '../../src/demo/people.js'
import { createBrowser, type Browser } from '../helpers/browser.js'
import { baseConfig, freePorts, merge, registration } from '../helpers/gateway.js'
import { figures, startLoad } from '../helpers/load.js'
import { startMortalPostgres, type MortalPostgres } from '../helpers/killable-postgres.js'
import { program, run, type Running } from '../helpers/programs.js'
import { filledIn, folder, runNginx } from '../helpers/proxies.js'
import { connect, endConnections, type Query } from '../helpers/sql.js'
import { startTcpFaultProxy, type TcpFaultProxy } from '../helpers/tcp-fault-proxy.js'

// Bounds of the contract: what ended counts on every replica within a second; with the LISTEN connection lost within
// five; where the database is unreachable warm sessions go on for outageGrace, staff not beyond the noticing, which
// takes at most five.
const HEARD_MS = 1_000
const UNHEARD_MS = 5_000
const GRACE_MS = 6_000
/**
 * What a notice may be late on a machine that does the load's, nginx's, PostgreSQL's and Entra ID's work on the same
 * two cores.
 */
const SLACK_MS = 500
const A_SECOND = 500
const AGENT = new Agent({ connections: 128, keepAliveTimeout: 4_000 })
t.teardown(() => AGENT.destroy())

interface Person {
  readonly cookie: string
  readonly username: string
  readonly hash: string
  /** The deletion of the session was sent: from now on 401 is right. */
  ending?: true
  /** It was acknowledged. */
  endedAt?: number
}

t.test('two replicas behind nginx', async (t) => {
  const site = await openSite(t)
  if (!site) return
  const { replicas: [one, two], app, auth, query, postgres, door } = site
  const people = await Promise.all(Array.from({ length: 40 }, () => site.signIn(PERSON_IDS.guest)))
  const [ordinary] = people as [Person]
  const staff = await site.signIn(PERSON_IDS.staff)
  const end = async (person: Person): Promise<void> => {
    person.ending = true
    await query("delete from sessions where encode(id_hash, 'hex') = $1", [person.hash])
    person.endedAt = performance.now()
  }

  /** A question through nginx. @returns `ok`, or what is wrong with the answer */
  const question = async (person: Person | undefined): Promise<string> => {
    const asked = performance.now()
    const { statusCode, body } = await request(`${app}/x`, {
      dispatcher: AGENT,
      headers: { accept: 'application/json', ...(person && { cookie: person.cookie }) },
    })
    const text = await body.text()
    if (statusCode === 200 && person === undefined) return 'WRONG 200'
    if (statusCode === 200 && person?.endedAt !== undefined) {
      return asked > person.endedAt + HEARD_MS + SLACK_MS
        ? 'WRONG 200'
        : 'ok'
    }
    if (statusCode === 200) return text === person?.username ? 'ok' : 'WRONG person'
    return statusCode === 401 && (person === undefined || person.ending === true)
      ? 'ok'
      : `question ${statusCode}`
  }
  const login = async (): Promise<string> => {
    const browser = createBrowser({ dispatcher: AGENT })
    const begun = await browser.ask(`${auth}/oauth2/start?rd=${encodeURIComponent(`${app}/after`)}`)
    if (begun.status !== 302) return `login, start ${begun.status}`
    const { location } = await signInAs(begun.location ?? '', PERSON_IDS.guest, { dispatcher: AGENT })
    const answer = await browser.ask(location ?? '')
    if (answer.location !== `${app}/after`) return `login, callback ${answer.status}`
    const after = await browser.ask(`${app}/after`)
    return after.status === 200 && after.text === ordinary.username ? 'ok' : `login, after ${after.status}`
  }
  const mixture = (victims: readonly Person[]) => (number: number): Promise<string> => {
    if (number % 50 === 0) return login()
    if (number % 10 === 1) return question(undefined)
    if (number % 10 === 2) return question(victims[number % victims.length])
    return question(people[number % people.length])
  }
  /** Load, while sessions end one after the other. */
  const under = async (work: () => Promise<void>) => {
    const victims = await Promise.all(Array.from({ length: 10 }, () => site.signIn(PERSON_IDS.nested)))
    const load = startLoad(A_SECOND, mixture(victims))
    const ending = (async () => {
      for (const victim of victims) {
        await sleep(400)
        await end(victim)
      }
    })()
    try {
      await sleep(1_000)
      await work()
      await ending
      await sleep(HEARD_MS + SLACK_MS)
    } finally {
      await Promise.allSettled([ending, load.stop()])
    }
    return load.outcomes
  }

  await t.test('replicas are restarted one after the other under load, and no request fails', async (t) => {
    const begun = createBrowser()
    const start = await begun.ask(`${one.url}/oauth2/start?rd=${encodeURIComponent(`${app}/begun`)}`, {
      headers: { host: new URL(auth).host },
    })
    const times: string[] = []
    const outcomes = await under(async () => {
      for (const replica of [one, two]) {
        const from = performance.now()
        await replica.stop()
        const stopped = performance.now()
        await replica.start()
        times.push(
          `stopped in ${(stopped - from).toFixed(0)} ms, ready again after ${
            (performance.now() - stopped).toFixed(0)
          } ms`,
        )
      }
    })
    t.comment(`rolling restart: ${times.join('; ')}; ${figures(outcomes)}`)
    t.strictSame(outcomes.filter(({ result }) => result !== 'ok'), [])

    const { location = '' } = await signInAs(start.location ?? '', PERSON_IDS.guest)
    const ended = await begun.ask(location.replace(auth, two.url), { headers: { host: new URL(auth).host } })
    t.equal(ended.location, `${app}/begun`, 'a login begun on one before it was restarted ends on the other')
  })

  await t.test('one replica is killed under load', async (t) => {
    let killed = 0
    let back = 0
    const outcomes = await under(async () => {
      killed = performance.now()
      one.kill()
      const first = await question(ordinary)
      t.comment(`killed: the first question after it was ${first} after ${(performance.now() - killed).toFixed(0)} ms`)
      await sleep(2_000)
      await one.start()
      back = performance.now() - killed - 2_000
    })
    const failed = outcomes.filter(({ result }) => result !== 'ok')
    t.comment(`one killed: ${figures(outcomes)}; started again in ${back.toFixed(0)} ms`)
    t.strictSame(
      failed.filter(({ result }) => !result.startsWith('login, callback')),
      [],
      'questions are asked of the other one; a code that was redeemed cannot be',
    )
    t.ok(failed.every(({ at }) => at < killed), 'no login but those that were under way')
  })

  /** Asks both replicas for each of them every so often, until it is stopped. */
  const watch = (who: Readonly<Record<string, Person>>) => {
    const seen: { readonly name: string, readonly replica: number, readonly asked: number, readonly status: number }[] =
      []
    const state = { running: true }
    t.teardown(() => {
      state.running = false
    })
    const all = Promise.all(
      Object.entries(who).flatMap(([name, person]) =>
        [one, two].map(async ({ url }, replica) => {
          while (state.running) {
            const asked = performance.now()
            const status = await ask(url, person)
            seen.push({ name, replica, asked, status })
            await sleep(20)
          }
        })
      ),
    )
    return {
      /** Of those asked within the window. */
      statuses: (name: string, from: number, to = Infinity) =>
        [
          ...new Set(
            seen.filter((each) => each.name === name && each.asked > from && each.asked < to).map(({ status }) =>
              status
            ),
          ),
        ].sort(),
      /** How long after `from` somebody was last believed (before `to`), per replica. */
      believed: (name: string, from: number, to = Infinity) =>
        [0, 1].map((replica) =>
          Math.max(
            0,
            ...seen.filter((each) =>
              each.name === name && each.replica === replica && each.status === 200 && each.asked < to
            ).map(({ asked }) => asked - from),
          )
        ),
      /** When both first answered this after `from`. */
      first: (name: string, from: number, status: number) =>
        Math.max(
          ...[0, 1].map((replica) =>
            (seen.find((each) =>
              each.name === name && each.replica === replica && each.asked > from && each.status === status
            )?.asked ?? Infinity) - from
          ),
        ),
      stop: async () => {
        state.running = false
        await all
      },
    }
  }
  const heard = async (): Promise<void> => {
    for (const { management } of [one, two]) {
      while (!(await (await fetch(`${management}/readyz`)).text()).includes('"connected"')) {
        await sleep(20)
      }
    }
  }
  const rounded = (numbers: readonly number[]) => numbers.map((ms) => `${ms.toFixed(0)} ms`).join(' and ')

  await t.test('PostgreSQL is killed and comes back', async (t) => {
    const [before, meanwhile] = [await site.signIn(PERSON_IDS.nested), await site.signIn(PERSON_IDS.nested)]
    for (const { url } of [one, two]) {
      for (const person of [before, meanwhile, ordinary, staff]) t.equal(await ask(url, person), 200)
    }
    const seen = watch({ before, meanwhile, ordinary, staff })
    await sleep(300)
    await end(before)
    postgres.kill()
    const killed = performance.now()
    await sleep(GRACE_MS + 2_000)
    const outage = performance.now()
    await postgres.start()
    const answering = performance.now()
    const fresh = await connect(t, postgres.url)
    await fresh("delete from sessions where encode(id_hash, 'hex') = $1", [meanwhile.hash])
    const endedMeanwhile = performance.now()
    await heard()
    const recovered = performance.now()
    const signingIn = await login()
    await sleep(1_000)
    await seen.stop()

    t.strictSame(seen.statuses('ordinary', killed, killed + GRACE_MS - 1_000), [200], 'warm sessions go on')
    t.strictSame(seen.statuses('staff', killed + UNHEARD_MS, outage), [503], 'staff not')
    t.strictSame(seen.statuses('ordinary', killed + GRACE_MS, outage), [503], 'for outageGrace and no longer')
    t.notOk(seen.statuses('before', killed + GRACE_MS).includes(200), 'what ended right before is over')
    t.ok(Math.max(...seen.believed('meanwhile', endedMeanwhile)) <= UNHEARD_MS, 'what ended as it came back is over')
    t.strictSame(seen.statuses('meanwhile', recovered), [401])
    for (const name of ['ordinary', 'staff']) {
      t.strictSame(seen.statuses(name, recovered), [200], `${name}, without a restart`)
    }
    t.equal(signingIn, 'ok')
    for (const replica of [one, two]) t.notOk(replica.ended(), 'the same processes')
    t.comment(
      `PostgreSQL killed: staff last believed ${rounded(seen.believed('staff', killed, outage))} after it; started in ${
        (answering - outage).toFixed(0)
      } ms; from its first answer: people 200 after ${
        seen.first('ordinary', answering, 200).toFixed(0)
      } ms, staff after ${seen.first('staff', answering, 200).toFixed(0)} ms, changes heard after ${
        (recovered - answering).toFixed(0)
      } ms; ended right before the kill: last believed ${
        rounded(seen.believed('before', killed))
      } after it; ended as it came back: ${rounded(seen.believed('meanwhile', endedMeanwhile))}`,
    )
  })

  await t.test("the listeners' connections end", async (t) => {
    const fresh = await connect(t, postgres.url)
    const gone = await site.signIn(PERSON_IDS.nested)
    for (const { url } of [one, two]) for (const person of [gone, ordinary]) t.equal(await ask(url, person), 200)
    const seen = watch({ gone, ordinary })
    await endConnections(fresh, "application_name = 'gatehouse listener'")
    await fresh("delete from sessions where encode(id_hash, 'hex') = $1", [gone.hash])
    const ended = performance.now()
    await sleep(200)
    await heard()
    const recovered = performance.now() - ended
    await sleep(500)
    await seen.stop()
    t.ok(Math.max(...seen.believed('gone', ended)) <= UNHEARD_MS)
    t.strictSame(seen.statuses('gone', ended + UNHEARD_MS), [])
    t.strictSame(seen.statuses('ordinary', 0), [200])
    t.comment(
      `listeners ended: believed for ${rounded(seen.believed('gone', ended))}; heard again after ${
        recovered.toFixed(0)
      } ms`,
    )
  })

  await t.test("one listener's packets are lost", async (t) => {
    const fresh = await connect(t, postgres.url)
    const gone = await site.signIn(PERSON_IDS.nested)
    for (const { url } of [one, two]) for (const person of [gone, ordinary]) t.equal(await ask(url, person), 200)
    const seen = watch({ gone, ordinary })
    door.freeze('listen gatehouse')
    await fresh("delete from sessions where encode(id_hash, 'hex') = $1", [gone.hash])
    const ended = performance.now()
    await sleep(UNHEARD_MS + 1_000)
    await heard()
    const recovered = performance.now() - ended
    await sleep(500)
    await seen.stop()
    const [hears = Infinity, deaf = Infinity] = seen.believed('gone', ended)
    t.ok(hears <= HEARD_MS + SLACK_MS, 'the one that hears')
    t.ok(deaf <= UNHEARD_MS, 'the one that does not')
    t.strictSame(seen.statuses('gone', ended + UNHEARD_MS), [401])
    t.strictSame(seen.statuses('ordinary', 0), [200])
    t.comment(
      `one listener half-open: believed for ${hears.toFixed(0)} ms by the one that hears, ${
        deaf.toFixed(0)
      } ms by the other; heard again at the latest after ${recovered.toFixed(0)} ms`,
    )
  })
})

/** Past nginx. */
async function ask(url: string, { cookie }: Person): Promise<number> {
  const { statusCode, body } = await request(`${url}/oauth2/auth`, {
    dispatcher: AGENT,
    headers: { cookie, 'x-original-url': 'https://app.test/x', 'x-original-method': 'GET' },
  })
  await body.dump()
  return statusCode
}

interface Replica {
  readonly url: string
  readonly management: string
  /** Until it is ready. */
  start(): Promise<void>
  /** SIGTERM, and until it has ended. */
  stop(): Promise<void>
  kill(): void
  ended(): boolean
}

interface Site {
  readonly replicas: readonly [Replica, Replica]
  readonly app: string
  readonly auth: string
  readonly postgres: MortalPostgres
  readonly query: Query
  /** Between the second replica and PostgreSQL. */
  readonly door: TcpFaultProxy
  signIn(person: string): Promise<Person>
}

async function openSite(t: Test): Promise<Site | undefined> {
  if (program(t, 'nginx') === undefined) return undefined
  const [appPort = 0, authPort = 0, downstream = 0, ...ports] = await freePorts(7)
  const [app, auth] = [`http://127.0.0.1:${appPort}`, `http://127.0.0.1:${authPort}`]
  const postgres = await startMortalPostgres(t)
  const directory = createDirectory(DEMO_TENANT_ID)
  seedDemoDirectory(directory)
  const entra = await startEntra({ directory, app: registration(auth) })
  t.teardown(() => entra.close())
  const door = await startTcpFaultProxy(t, postgres.url)
  const replica = (name: string, [port = 0, management = 0]: readonly number[], databaseUrl: string): Replica => {
    const file = join(folder(t, name), 'gatehouse.yaml')
    writeFileSync(
      file,
      stringify(merge(baseConfig({ publicUrl: auth, port, management, entra, databaseUrl }), {
        // The load signs few people in, often.
        session: { outageGrace: `${GRACE_MS / 1000}s`, maxPerUser: 10_000 },
        log: { level: 'warn' },
      })),
    )
    return createReplica(t, file, port, management)
  }
  const replicas = [
    replica('one', ports.slice(0, 2), postgres.url),
    replica('two', ports.slice(2, 4), door.url),
  ] as const
  await Promise.all(replicas.map((each) => each.start()))
  const upstream = filledIn('config/proxies/nginx/upstream-replicas.conf.template', {
    GATEHOUSE_UPSTREAM: `127.0.0.1:${ports[0]}`,
    GATEHOUSE_SECOND_UPSTREAM: `127.0.0.1:${ports[2]}`,
  })
  const servers = filledIn('config/demo/nginx.conf.template', {
    DEMO_APP_LISTEN: `127.0.0.1:${appPort}`,
    DEMO_AUTH_LISTEN: `127.0.0.1:${authPort}`,
    DEMO_APP_UPSTREAM: `127.0.0.1:${downstream}`,
  }).replace(/upstream gatehouse \{[^]*?\n\}\n/, upstream)
  await runNginx(
    t,
    `${servers}\nserver { listen 127.0.0.1:${downstream}; location / { return 200 $http_remote_user; } }`,
    appPort,
  )
  return {
    replicas,
    app,
    auth,
    postgres,
    door,
    query: await connect(t, postgres.url),
    signIn: (person) => signIn(auth, app, person),
  }
}

async function signIn(auth: string, app: string, person: string): Promise<Person> {
  const browser: Browser = createBrowser({ dispatcher: AGENT })
  const { location: away = '' } = await browser.ask(`${auth}/oauth2/start?rd=${encodeURIComponent(`${app}/`)}`)
  const { location: back = '' } = await signInAs(away, person, { dispatcher: AGENT })
  const { location } = await browser.ask(back)
  if (location !== `${app}/`) throw new Error('not signed in')
  const [id = ''] = decodeURIComponent(browser.cookies.get('127.0.0.1')?.get('gatehouse_session') ?? '').split('.')
  const { text: username } = await browser.ask(`${app}/`)
  return { cookie: browser.cookieHeader(app), username, hash: sessionIdHash(id).toString('hex') }
}

function createReplica(t: Test, file: string, port: number, management: number): Replica {
  let running: Running | undefined
  const health = `http://127.0.0.1:${management}`
  return {
    url: `http://127.0.0.1:${port}`,
    management: health,
    async start() {
      running = await run(t, process.execPath, ['dist/cli.js', 'serve', '--config', file], { port: management })
      while (!await fetch(`${health}/readyz`).then(({ ok }) => ok, () => false)) await sleep(20)
    },
    stop: async () => {
      await running?.stop()
    },
    kill: () => {
      running?.process.kill('SIGKILL')
    },
    ended: () => running === undefined || running.process.exitCode !== null || running.process.signalCode !== null,
  }
}
