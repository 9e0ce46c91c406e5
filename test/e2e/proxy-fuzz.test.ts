// The whole chain under random requests: raw sockets at each proxy, everything recorded at the application. Nothing
// reaches it that the rules would refuse in any reading. FC_SEED repeats a run, GATEHOUSE_FUZZ_PROXY takes one proxy
// alone, GATEHOUSE_FUZZ_REQUESTS says how many requests; the result of more than the usual ones is kept for
// docs/proxies.md (npm run test:long).
import { randomInt } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { PROXIES } from '../helpers/proxies-all.js'
import { fuzz } from './matrix/fuzz.js'
import { LONG_RUN, type LongResult, type LongRun } from './matrix/render.js'
import { createMatrix } from './matrix/running.js'

const USUAL = 1_000
const requests = Number(process.env.GATEHOUSE_FUZZ_REQUESTS ?? USUAL)
const seed = process.env.FC_SEED === undefined ? randomInt(2 ** 31) : Number(process.env.FC_SEED)
const matrix = createMatrix(t)

// proves: adv-fuzz-readings
t.test('random requests: no request reaches the application that an interpretation of its path refuses', async (t) => {
  t.comment(`${requests} requests a proxy, FC_SEED=${seed}`)
  const results: LongResult[] = []
  for (const proxy of PROXIES.filter(({ name }) => [undefined, name].includes(process.env.GATEHOUSE_FUZZ_PROXY))) {
    await t.test(proxy.name, async (t) => {
      if (proxy.missing(t)) return
      const context = await matrix.prepared(proxy)
      if (context === undefined) return
      const { reached, wrong } = await fuzz(context, { seed, requests })
      t.comment(`${proxy.name}: ${reached} of ${requests} reached the application`)
      t.ok(reached > requests / 20, 'enough of them reach the application at all')
      t.same(wrong.slice(0, 20), [], `${wrong.length} wrong`)
      results.push({ proxy: proxy.name, requests, reached, wrong: wrong.length })
    })
  }
  if (requests > USUAL) keep(results)
})

/** Beside the results of other proxies under the same seed. */
function keep(results: readonly LongResult[]): void {
  const kept = existsSync(LONG_RUN) ? (JSON.parse(readFileSync(LONG_RUN, 'utf8')) as LongRun) : { seed, results: [] }
  const others = kept.seed === seed
    ? kept.results.filter(({ proxy }) => !results.some((each) => each.proxy === proxy))
    : []
  const order = PROXIES.map(({ name }) => name)
  const all = [...others, ...results].sort((a, b) => order.indexOf(a.proxy) - order.indexOf(b.proxy))
  writeFileSync(LONG_RUN, `${JSON.stringify({ seed, results: all }, null, 2)}\n`)
}
