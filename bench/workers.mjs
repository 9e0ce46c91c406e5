// Several workers on one port (server.workers) against one process and against two processes: CPU time of a check with
// all processes of the gateway, and checks a second, directly and behind nginx. Cached sessions, cookies drawn at
// random, wrk in short alternating runs on the same cores. Prints; judges nothing. SESSIONS, SECONDS, ROUNDS and
// WORKERS change it.
import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { cpuOfAll, installed, startProgram } from './programs.mjs'
import { addSessions, drawing, freePort, median, openStage, say, startGateway, warm, wrk } from './stage.mjs'

const SESSIONS = Number(process.env.SESSIONS ?? 2_000)
const SECONDS = Number(process.env.SECONDS ?? 3)
const ROUNDS = Number(process.env.ROUNDS ?? 9)
const WORKERS = Number(process.env.WORKERS ?? 2)

const stage = await openStage()
try {
  const cookies = await addSessions(stage, SESSIONS)
  const file = join(stage.home, 'cookies')
  writeFileSync(file, cookies.join('\n'))
  const one = await startGateway(stage, { name: 'one' })
  const second = await startGateway(stage, { name: 'second' })
  const workers = await startGateway(stage, { name: 'workers', server: { workers: WORKERS } })
  for (const { url } of [one, second, workers, workers]) await warm(url, cookies)
  const load = () => loadavg().map((each) => each.toFixed(1)).join(' ')
  say(`${SESSIONS} cached sessions, ${ROUNDS} rounds of ${SECONDS} s, load before: ${load()}`)

  const direct = await alternately(file, [
    { url: one.url, gateways: [one] },
    { url: workers.url, gateways: [workers] },
  ])
  report(`${WORKERS} workers against one process, directly`, direct)

  const nginx = installed('nginx')
  if (nginx) {
    const both = await behind(nginx, 'both', [one, second])
    const single = await behind(nginx, 'single', [one])
    const shared = await behind(nginx, 'shared', [workers])
    report(
      `nginx and two processes against nginx and one`,
      await alternately(file, [{ url: single, gateways: [one] }, { url: both, gateways: [one, second] }]),
    )
    report(
      `nginx and ${WORKERS} workers against nginx and two processes`,
      await alternately(file, [{ url: both, gateways: [one, second] }, { url: shared, gateways: [workers] }]),
    )
  } else say('behind nginx: skipped, not installed')
  say(`load after: ${load()}`)
} finally {
  await stage.close()
}

/** @returns the runs of each, round by round; the first round warms */
async function alternately(cookies, rivals) {
  const runs = rivals.map(() => [])
  for (let round = -1; round < ROUNDS; round++) {
    for (const [index, { url, gateways }] of rivals.entries()) {
      const children = gateways.map(({ child }) => child)
      const before = cpuOfAll(children)
      const run = await wrk(stage, { url, script: drawing(cookies, { path: '/pages/' }), seconds: SECONDS })
      if (run.refused > 0) throw new Error(`${run.refused} checks were refused`)
      if (round >= 0) runs[index].push({ ...run, cpu: (cpuOfAll(children) - before) * 1e6 / run.requests })
    }
  }
  return runs
}

/** Each round is a ratio of its own, since other programs may be in the way of a round. */
function report(name, [before, after]) {
  const ratio = (key) => median(after.map((run, round) => run[key] / before[round][key])).toFixed(2)
  const middle = (key, digits) =>
    `${median(after.map((run) => run[key])).toFixed(digits)} against ${
      median(before.map((run) => run[key])).toFixed(digits)
    }`
  say(
    `${name}: ${ratio('rate')} times the checks a second, ${ratio('cpu')} times the CPU time of a check; ${
      middle('rate', 0)
    } a second, ${middle('cpu', 1)} microseconds, p50 ${middle('p50', 2)} ms, p99 ${middle('p99', 1)} ms`,
  )
}

/** nginx with one worker in front of these gateways. @returns its address */
async function behind(program, name, gateways) {
  const port = await freePort()
  const home = join(stage.home, `nginx-${name}`)
  const file = join(stage.home, `nginx-${name}.conf`)
  const servers = gateways.map(({ port: each }) => `server 127.0.0.1:${each};`).join(' ')
  writeFileSync(
    file,
    `daemon off; worker_processes 1; pid ${home}.pid; error_log stderr warn;
events { worker_connections 768; }
http {
  access_log off;
  client_body_temp_path ${home}-a; proxy_temp_path ${home}-b; fastcgi_temp_path ${home}-c; uwsgi_temp_path ${home}-d;
    scgi_temp_path ${home}-e;
  upstream gatehouse { ${servers} keepalive 16; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://gatehouse; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffer_size 16k;
      proxy_buffers 8 16k;
    }
  }
}`,
  )
  await startProgram(stage, program, ['-p', stage.home, '-c', file, '-e', 'stderr'], { port })
  return `http://127.0.0.1:${port}`
}
