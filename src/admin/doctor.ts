// `doctor`: checks everything that a sign-in needs, with requests to Entra ID, Graph and the database. For the command,
// the console and its API.
import { boundedPart } from '../core/bounded.js'
import { coalesced } from '../core/coalesced.js'
import type { DiagnosisPart, DiagnosisResult } from '../core/diagnosis.js'

export interface Diagnosis {
  /** When it ended. */
  readonly at: string
  /** Nothing failed. */
  readonly healthy: boolean
  readonly results: readonly DiagnosisResult[]
}

export interface DoctorAdmin {
  /**
   * Never rejects. A call during another run, or some seconds after it, gets the result of that run, so that many
   * administrators cause no more requests than one.
   */
  run(): Promise<Diagnosis>
  /** Of this process; undefined: it has not run yet. */
  last(): Diagnosis | undefined
}

export interface DoctorPorts {
  readonly parts: readonly DiagnosisPart[]
  readonly limitMs?: number
  readonly now?: () => number
}

/** Shorter than the time after which proxies usually give up. */
const LIMIT_MS = 50_000
const KEEP_MS = 10_000

export function createDoctorAdmin({ parts, limitMs = LIMIT_MS, now = Date.now }: DoctorPorts): DoctorAdmin {
  let last: Diagnosis | undefined
  const runOnce = coalesced(async () => { // guard: admin-doctor-once
    const results = (await Promise.all(parts.map((part) => resultsOf(part, limitMs)))).flat()
    last = { at: new Date(now()).toISOString(), healthy: !results.some(({ state }) => state === 'fail'), results }
    return last
  })
  return {
    run: async () =>
      last !== undefined && now() - Date.parse(last.at) < KEEP_MS // guard: admin-doctor-kept
        ? last
        : await runOnce(),
    last: () => last,
  }
}

async function resultsOf({ check, look }: DiagnosisPart, limitMs: number): Promise<readonly DiagnosisResult[]> {
  const looked = await boundedPart(look, limitMs)
  if (looked.state === 'read') return looked.value
  if (looked.code !== 'timeout') {
    const remedy = 'This should not happen: please report it.'
    return [{ check, state: 'fail', code: looked.code, message: 'the check itself failed', remedy }]
  }
  return [{
    check,
    state: 'fail',
    code: 'time_limit',
    message: `no result within ${limitMs / 1000} seconds`,
    remedy: 'Something on the way drops the requests: check the network, its firewall and its proxy.',
  }]
}
