// Records the policy that this replica runs as a version, where the configuration file is its source: after the start,
// after a reload, and again where the database has lost the version.
import type { RunningConfig } from './config/running-config.js'
import type { ConfigProblem } from './config/problem.js'
import { policyKeyOf } from './config/policy-text.js'
import type { VersionFinding } from './core/policy-version.js'
import type { Own } from './lifecycle.js'
import { startRecurring } from './recurring.js'
import type { PolicyVersionStore } from './store/policy-versions.js'
import { VERSION } from './version.js'

const LOOK_MS = 1_000
/** The version is looked for again: a database that was restored, or that has lost history, may not have it. */
const AGAIN_MS = 60_000

export interface PolicyRecord {
  /** Number of the version in force; undefined: not recorded yet. */
  version(): number | undefined
}

export interface PolicyRecordDeps {
  readonly store: Pick<PolicyVersionStore, 'addLoaded'>
  /** Host and port of this replica. */
  readonly replica: string
  readonly own: Own
  readonly log: { info(facts: object, text: string): void, warn(facts: object, text: string): void }
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

/** The first attempt is awaited: the first heartbeat names the version. A failure keeps no gateway from starting. */
export async function openPolicyRecord({ current }: RunningConfig, deps: PolicyRecordDeps): Promise<PolicyRecord> {
  const { store, replica, own, log, now = () => performance.now() } = deps
  let recorded: { readonly hash: string, readonly number: number, readonly at: number } | undefined
  let highestKnown = 0
  let failing = false
  const record = async (): Promise<void> => {
    const { policyText: { text, hash, canonical }, source } = current()
    if (recorded?.hash === hash && now() - recorded.at < AGAIN_MS) return
    const findings = findingsAbout(source?.warnings ?? [], canonical)
    const version = { text, hash, findings, author: `replica:${replica}`, release: VERSION, highestKnown }
    const { number, isNew } = await store.addLoaded(version)
    recorded = { hash, number, at: now() }
    highestKnown = Math.max(highestKnown, number)
    failing = false
    if (isNew) log.info({ version: number, policy: hash }, 'the policy of the file is recorded as a new version')
  }
  const failed = (error: unknown): void => {
    if (!failing) log.warn({ err: error }, 'the policy could not be recorded as a version; it is retried each second')
    failing = true
  }
  await record().catch(failed)
  const recording = startRecurring(record, LOOK_MS, failed, LOOK_MS)
  own('policy versions', recording.stop)
  return { version: () => recorded?.hash === current().policyText.hash ? recorded.number : undefined }
}

/** @param canonical where it has a variable, messages are left out: they may contain the value */
export function findingsAbout(warnings: readonly ConfigProblem[], canonical: string): readonly VersionFinding[] {
  const isPlain = !canonical.includes('${')
  return warnings
    .filter(({ path }) => policyKeyOf(path) !== undefined)
    .map(({ path, code, message }) => ({ path, code, message: isPlain ? message : null })) // guard: policy-no-values
}
