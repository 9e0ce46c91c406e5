// Seals the audit once a minute, and logs the newest seal once an hour: the log is kept elsewhere.
import type { Own } from '../lifecycle.js'
import { startRecurring } from '../recurring.js'
import { createAuditSealer, type SealOptions } from './audit-seals.js'
import type { Database } from './database.js'

const INTERVAL_MS = 60_000
const LOGGED_EVERY_MS = 3_600_000

export interface SealingDeps {
  readonly own: Own
  readonly log: {
    error(facts: object, text: string): void
    warn(facts: object, text: string): void
    info(facts: object, text: string): void
  }
}

export function sealAuditRegularly(database: Database, options: SealOptions, { own, log }: SealingDeps): void {
  const sealing = startRecurring(
    createSealing(database, options, log),
    INTERVAL_MS,
    (error) => log.warn({ err: error }, 'the audit could not be sealed; it will be tried again'),
    INTERVAL_MS,
  )
  own('audit seals', sealing.stop)
}

/** @param now milliseconds since 1970 */
export function createSealing(
  database: Database,
  options: SealOptions,
  log: SealingDeps['log'],
  now: () => number = Date.now,
): () => Promise<void> {
  const sealer = createAuditSealer(database, options)
  let logged: { readonly at: number, readonly hash: string } | undefined
  return async () => {
    const run = await sealer.run()
    if (!run?.newest) return
    const { newest: { number, hash }, isPreviousKnown } = run
    if (!isPreviousKnown && run.rows > 0) { // guard: seal-unknown-reported
      log.error(
        { seal: number },
        'the newest seal of the audit was not made with any of keys.encryptionSecrets: run `gatehouse audit verify`',
      )
    }
    if (logged !== undefined && (now() - logged.at < LOGGED_EVERY_MS || logged.hash === hash)) return
    logged = { at: now(), hash }
    log.info({ seal: number, hash }, 'the audit is sealed') // guard: seal-logged
  }
}
