// The log of answers (log.access). Who is not signed in is refused all the time, and anybody can make it happen as often as they like:
// beyond so many lines a second these are counted, and one line says how many. A refusal of somebody who is signed in is always a line.
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Target } from '../../core/target.js'

export interface AnswerLog {
  line(request: FastifyRequest, target: Target | undefined, status: number, facts: Readonly<Record<string, unknown>>): void
  /** Whether another 401 in this second gets no line of its own. If so it is counted. */
  alreadyFull(): boolean
}

const LINES_A_SECOND = 50

/** @param access which answers are logged: of `none` of them, every second is full */
export function createAnswerLog(log: FastifyBaseLogger, access: 'denied' | 'all' | 'none', now: () => number = () => performance.now()): AnswerLog {
  let second = -1
  let lines = 0
  let left = 0
  let saying: NodeJS.Timeout | undefined
  const say = (): void => {
    saying = undefined
    log.warn({ requests: left, status: 401 }, `access denied: ${left} more requests without a session, which got no line of their own`)
    left = 0
  }
  const count = (): void => {
    left++
    saying ??= setTimeout(say, 1_000).unref()
  }
  const full = (): boolean => {
    const current = Math.floor(now() / 1000)
    if (current !== second) [second, lines] = [current, 0]
    return lines >= LINES_A_SECOND
  }
  return {
    alreadyFull() {
      if (access === 'none') return true
      if (!full()) return false
      count()
      return true
    },
    line(request, target, status, facts) {
      if (access === 'none' || (status === 200 && access !== 'all')) return
      if (status === 401) {
        if (full()) return count()
        lines++
      }
      log.info({ correlationId: request.id, ...facts, status, client: request.ip, ...(target === undefined ? {} : { host: target.host, path: target.path, method: target.method }) }, status === 200 ? 'access allowed' : 'access denied')
    },
  }
}
