// What a gateway answered while its database failed over, recorded, and judged afterwards.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Browser } from './browser.js'
import { TARGET } from './targets.js'

/** Times are milliseconds of the monotonic clock. */
export interface Check {
  readonly session: string
  readonly begin: number
  readonly end: number
  readonly status: number
}

export interface Recording {
  readonly checks: readonly Check[]
  /** The ending of this session was acknowledged now. */
  ended(session: string): void
  /** Answers 200 that began more than `boundMs` after the acknowledged ending of their session. */
  wrong(boundMs: number): readonly Check[]
  /** Answers 401 for a session that was not ended. */
  lost(): readonly Check[]
  /** Milliseconds from `since` to the first answer 200 for this session that began after it; undefined: none. */
  recovery(session: string, since: number): number | undefined
  stop(): Promise<void>
}

const EVERY_MS = 50
const MOST_UNDER_WAY = 20

/** @param sessions by name: a browser that is signed in at this gateway */
export function recordChecks(gatewayUrl: string, sessions: Readonly<Record<string, Browser>>): Recording {
  const checks: Check[] = []
  const endings = new Map<string, number>()
  const underWay = new Set<Promise<void>>()
  const state = { running: true }
  const check = async (session: string, browser: Browser): Promise<void> => {
    const begin = performance.now()
    const { status } = await browser.ask(`${gatewayUrl}/oauth2/auth`, { headers: TARGET })
    checks.push({ session, begin, end: performance.now(), status })
  }
  const loop = (async () => {
    while (state.running) {
      for (const [session, browser] of Object.entries(sessions)) {
        if (underWay.size >= MOST_UNDER_WAY) break
        const done = check(session, browser).catch(() => {}).finally(() => underWay.delete(done))
        underWay.add(done)
      }
      await sleep(EVERY_MS)
    }
    await Promise.all(underWay)
  })()
  return {
    checks,
    ended(session) {
      endings.set(session, performance.now())
    },
    wrong: (boundMs) =>
      checks.filter(({ session, status, begin }) =>
        status === 200 && begin > (endings.get(session) ?? Infinity) + boundMs
      ),
    lost: () => checks.filter(({ session, status }) => status === 401 && !endings.has(session)),
    recovery(session, since) {
      const first = checks.find((each) => each.session === session && each.status === 200 && each.begin >= since)
      return first === undefined ? undefined : Math.round(first.end - since)
    },
    async stop() {
      state.running = false
      await loop
    },
  }
}
