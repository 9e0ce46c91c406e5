// The policy that a replica runs where policy.source is database: the version that was deployed last. Without one, or
// with one that it cannot run, it answers no question and no sign-in. It also loads what is to be deployed on trial.
import { runningConfig, type RunningConfig } from './config/running-config.js'
import type { Config } from './config/config.js'
import { reloadedChanges } from './config/config-changes.js'
import { ConfigError, formatProblem } from './config/problem.js'
import { GatehouseError, thrownFacts } from './core/errors.js'
import {
  POLICY_SCHEMA,
  policyMissing,
  versionName,
  type DeployedVersion,
  type PolicyVersions,
} from './core/policy-version.js'
import { oneAtATime } from './core/one-at-a-time.js'
import type { LoadDatabasePolicy } from './database-policy.js'
import type { Own } from './lifecycle.js'
import { startRecurring } from './recurring.js'
import type { PolicyDeploymentStore } from './store/policy-deployments.js'
import { VERSION } from './version.js'

/** Changes are announced (store/change-feed); this is for announcements that do not arrive. */
const LOOK_MS = 1_000
/** What cannot be run is loaded again at this pace: it may take a second. */
const AGAIN_MS = 10_000
const MAX_REFUSAL = 500

export type PolicyState =
  | { readonly kind: 'in force', readonly version: number }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unusable', readonly version: number, readonly reason: string }

export interface DeployedPolicy {
  /** With the policy in force in place of the file's. */
  readonly config: RunningConfig
  /** Number of the version in force here. */
  version(): number | undefined
  state(): PolicyState
  /** A version was deployed, or is tried: the database is read. */
  look(): void
}

export interface DeployedPolicyDeps {
  readonly store: Pick<PolicyDeploymentStore, 'inForce' | 'unanswered' | 'answer' | 'addAgain'>
  readonly versions: Pick<PolicyVersions, 'get'>
  readonly load: LoadDatabasePolicy
  /** Its id in the table of replicas. */
  readonly replica: string
  /** Its host and port. */
  readonly name: string
  /** Whatever may fail of a policy when it is used. */
  readonly compile: (config: Config) => void
  readonly own: Own
  readonly log: Record<'info' | 'warn' | 'error', (facts: object, text: string) => void>
}

/** `at`: monotonic milliseconds. */
type Unusable = Extract<PolicyState, { kind: 'unusable' }> & { readonly at: number }

interface InForce {
  readonly version: DeployedVersion
  readonly config: Config
}

/**
 * @param file whose policy is empty
 * @throws GatehouseError `policy_schema_unknown` where a newer release has deployed what is in force
 */
export async function openDeployedPolicy({ file }: RunningConfig, deps: DeployedPolicyDeps): Promise<DeployedPolicy> {
  const { own, log } = deps
  const loader = createLoader(file, deps)
  const { adopt, state, policy, requirePolicy } = createAdoption(loader, deps)
  const look = oneAtATime(async () => {
    await adopt()
    await loader.answerTrials()
  })
  await look().catch((error: unknown) => {
    if (isSchemaUnknown(error)) throw error
    log.warn(thrownFacts(error), 'the policy in force could not be read; it is retried each second')
  })
  if (state().kind === 'missing') {
    log.error({ remedy: policyMissing().remedy }, 'no policy was deployed yet: nothing is answered')
  }
  const failed = (error: unknown): void => log.warn(thrownFacts(error), 'the policy in force could not be read')
  own('deployed policy', startRecurring(look, LOOK_MS, failed, LOOK_MS).stop)
  return {
    config: runningConfig(file, { policy, requirePolicy, catchUp: look }),
    version() {
      const known = state()
      return known.kind === 'in force' ? known.version : undefined
    },
    state,
    look() {
      look().catch(failed)
    },
  }
}

/** Which version is in force here, or why none is. */
function createAdoption(loader: Loader, deps: DeployedPolicyDeps) {
  const { store, log } = deps
  let inForce: InForce | undefined
  let unusable: Unusable | undefined
  const refuse = ({ number: version }: DeployedVersion, error: unknown): void => {
    const reason = reasonOf(error)
    if (unusable?.version !== version || unusable.reason !== reason) {
      log.error({ version, reason }, 'the policy in force cannot be run here: nothing is answered')
    }
    unusable = { kind: 'unusable', version, reason, at: performance.now() } // guard: policy-never-the-old-one
    if (inForce === undefined && isSchemaUnknown(error)) throw error
  }
  return {
    async adopt(): Promise<void> {
      const newest = await store.inForce()
      if (inForce !== undefined && (newest === undefined || newest.number < inForce.version.number)) {
        return await addAgain(inForce, deps)
      }
      if (newest === undefined || isSame(newest, inForce?.version)) return
      if (unusable?.version === newest.number && performance.now() - unusable.at < AGAIN_MS) return
      const loaded = await loader.load(newest, await textOf(newest, deps))
      if ('error' in loaded) return refuse(newest, loaded.error)
      const changes = inForce === undefined ? [] : reloadedChanges(inForce.config, loaded.config)
      inForce = { version: newest, config: loaded.config }
      unusable = undefined
      log.info({ version: newest.number, policy: newest.hash, changes }, 'a version of the policy is in force')
    },
    state: (): PolicyState =>
      unusable ?? (inForce === undefined ? { kind: 'missing' } : { kind: 'in force', version: inForce.version.number }),
    policy: () => inForce?.config,
    requirePolicy: () => requireInForce(inForce, unusable),
  }
}

/** For every question that is answered. */
function requireInForce(inForce: InForce | undefined, unusable: Unusable | undefined): void {
  if (unusable !== undefined) throw unusableHere(unusable) // guard: policy-unusable
  if (inForce === undefined) throw policyMissing() // guard: policy-missing
}

function unusableHere({ version, reason }: Unusable): GatehouseError {
  return new GatehouseError('policy_unusable', {
    detail: `version ${version} of the policy cannot be run: ${reason}`,
    remedy: 'Correct what it says on this replica, or deploy another version.',
  })
}

function isSame(one: DeployedVersion, other: DeployedVersion | undefined): boolean {
  return one.number === other?.number && one.hash === other.hash
}

/** A database that was restored, or that has lost history, must not bring an earlier policy into force. */
async function addAgain({ version, config }: InForce, { store, name, log }: DeployedPolicyDeps): Promise<void> {
  const { images, policyText: { text, hash } } = config
  const lost = { text, hash, number: version.number, author: `replica:${name}`, release: VERSION, images }
  const number = await store.addAgain(lost)
  if (number === undefined) return
  log.error({ lost: version.number, version: number }, 'the database had lost the policy in force: it is added again')
}

async function textOf({ number }: DeployedVersion, { versions }: DeployedPolicyDeps): Promise<string> {
  const version = await versions.get(number)
  if (version === undefined) throw new Error(`version ${number} of the policy is gone`)
  return version.text
}

type Loader = ReturnType<typeof createLoader>

/** Loads policies beside the file. */
function createLoader(file: () => Config, { store, load, replica, compile }: DeployedPolicyDeps) {
  /** What was tried last is in force without being loaded again: ten thousand rows take a second. */
  let tried: { readonly text: string, readonly base: Config, readonly config: Config } | undefined
  const loaded = async (text: string, name: string): Promise<Config> => {
    const base = file()
    if (tried?.text === text && tried.base === base) return named(tried.config, name)
    const { config } = await load(text, base, name)
    compile(config)
    return config
  }
  const judge = async (text: string): Promise<string | null> => {
    try {
      tried = { text, base: file(), config: await loaded(text, 'trial') }
      return null
    } catch (error) {
      return reasonOf(error)
    }
  }
  return {
    async load(
      version: DeployedVersion,
      text: string,
    ): Promise<{ readonly config: Config } | { readonly error: unknown }> {
      try {
        requireKnownSchema(version)
        const config = await loaded(text, versionName(version.number))
        tried = undefined
        return { config }
      } catch (error) {
        return { error }
      }
    },
    async answerTrials(): Promise<void> {
      for (const { id, text } of await store.unanswered(replica)) await store.answer(id, replica, await judge(text))
    },
  }
}

/** The same policy with this name in its findings. */
function named(config: Config, name: string): Config {
  const { source } = config
  if (source === undefined) return config
  return {
    ...config,
    source: { ...source, file: name, warnings: source.warnings.map((each) => ({ ...each, file: name })) },
  }
}

function requireKnownSchema({ number, schema, release }: DeployedVersion): void {
  if (schema <= POLICY_SCHEMA) return // guard: policy-schema
  throw new GatehouseError('policy_schema_unknown', {
    detail: `version ${number} of the policy was deployed by Gatehouse ${release}, and this is ${VERSION}`,
    remedy: `Use Gatehouse ${release} or a later release.`,
  })
}

function reasonOf(error: unknown): string {
  if (!(error instanceof ConfigError)) {
    return error instanceof Error ? error.message.slice(0, MAX_REFUSAL) : 'it cannot be loaded'
  }
  const problems = error.problems.slice(0, 3).map((problem) => formatProblem(problem).split('\n')[0])
  return problems.join('; ').slice(0, MAX_REFUSAL)
}

function isSchemaUnknown(error: unknown): boolean {
  return error instanceof GatehouseError && error.code === 'policy_schema_unknown'
}
