// `gatehouse audit verify`: whether the rows of the audit are those that were sealed.
import type { BrokenSeal, SealFault } from '../store/audit-verification.js'
import { verifyAudit } from '../store/audit-verification.js'
import { commandProcess } from './command-process.js'
import { EXIT, print, printJson, withDatabase, type CommonOptions } from './context.js'

interface VerifyOptions extends CommonOptions {
  readonly seal?: string
}

export async function auditVerify(options: VerifyOptions): Promise<number> {
  const expected = options.seal?.toLowerCase()
  if (expected !== undefined && !/^[0-9a-f]{64}$/.test(expected)) {
    commandProcess().stderr.write('gatehouse: --seal is the hash of a seal: 64 hexadecimal digits.\n')
    return EXIT.usage
  }
  const { broken, newest, ...counts } = await withDatabase(options, ({ database, config }) =>
    verifyAudit(database, {
      secrets: config.keys.encryptionSecrets,
      retentionMs: config.audit.retentionMs,
      expected,
    }))
  const shown = newest && { ...newest, at: timeOf(newest.at) }
  const failure = broken && failureOf(broken)
  if (options.json) {
    printJson({ ok: broken === undefined, ...counts, newest: shown ?? null, broken: failure ?? null })
  } else {
    print(
      `${counts.seals} seals of ${counts.rows} rows verified, ${counts.rowsPastRetention} rows past their retention, ` +
        `${counts.unsealed} rows not sealed yet`,
    )
    if (shown) print(`newest verified seal: ${shown.number}, ${shown.at}, ${shown.hash}`)
    if (failure) commandProcess().stderr.write(`gatehouse: ${lines(failure)}\n`)
  }
  return broken ? EXIT.failed : EXIT.ok
}

interface Failure {
  readonly fault: SealFault
  readonly message: string
  readonly remedy: string
  readonly seal?: {
    readonly number: number
    readonly ids: string
    readonly rows: number
    readonly found?: number
    readonly firstAt: string
    readonly lastAt: string
    readonly sealedAt: string
  }
}

const RESTORE = 'Compare with a backup from before, and find out who can write to the database.'

const MEANINGS: Readonly<Record<SealFault, readonly [message: string, remedy: string]>> = {
  number: ['a seal before this one is missing', RESTORE],
  chain: ['this seal does not continue the seal before it', RESTORE],
  seal: ['this seal was changed', RESTORE],
  ids: ['rows of this seal are in an earlier seal too', RESTORE],
  count: ['rows were deleted or inserted', RESTORE],
  rows: ['rows were changed', RESTORE],
  mac: [
    'the newest seal was not made with any of keys.encryptionSecrets',
    'Verify with the list of secrets that the gateway has. If it is that list, the seals were made by another program.',
  ],
  previous: [
    'the seals before this one were not made with any of the secrets that were configured then',
    'After all secrets were replaced this is expected: give the hash of this seal or a later one that was noted ' +
    'elsewhere, with --seal.',
  ],
  absent: [
    'no seal has this hash',
    'Seals were deleted or made anew since it was noted, or the database was restored from an older state.',
  ],
}

function failureOf({ fault, seal, found }: BrokenSeal): Failure {
  const [message, remedy] = MEANINGS[fault]
  if (!seal) return { fault, message, remedy }
  const { number, ids, rows } = seal
  const [firstAt, lastAt, sealedAt] = [seal.firstAt, seal.lastAt, seal.at].map(timeOf) as [string, string, string]
  return {
    fault,
    message,
    remedy,
    seal: { number, ids, rows, ...found === undefined ? {} : { found }, firstAt, lastAt, sealedAt },
  }
}

function lines({ message, remedy, seal }: Failure): string {
  if (!seal) return `${message}\n    ${remedy}`
  const { number, ids, rows, found, firstAt, lastAt, sealedAt } = seal
  const shortIds = ids.length > 80 ? `${ids.slice(0, 80)}...` : ids
  return `seal ${number} is broken: ${message}
    rows ${shortIds} (${rows} sealed${found === undefined ? '' : `, ${found} found`}) from ${firstAt} to ${lastAt},
    sealed ${sealedAt}
    ${remedy}`
}

/** @param micros since 1970 */
function timeOf(micros: string): string {
  const time = new Date(Number(BigInt(micros) / 1000n))
  return Number.isNaN(time.getTime()) ? micros : time.toISOString()
}
