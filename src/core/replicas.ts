// Detects replicas on one database that run different configurations. Every replica writes the hash of its own with
// each heartbeat (store/change-feed/replica-rows.ts). A difference that lasts a minute is logged once, until it
// changes.

export interface OtherReplica {
  /** Host and port, as it announces them. */
  readonly replica: string
  /** The first characters of its hash. */
  readonly config: string
  /** When the difference was detected, ISO 8601. */
  readonly since: string
}

export interface ReplicasState {
  readonly config: string
  /** Number of replicas with this configuration, including this one. */
  readonly same: number
  readonly different: readonly OtherReplica[]
}

export interface Announcement {
  /** Host and port. */
  readonly name: string
  /** Hash of the configuration in force: 64 hex characters. */
  readonly config: string
  /** Number of the policy version in force; undefined: not recorded yet. */
  readonly policy?: number | undefined
  /** For how many milliseconds yet Graph asked the sign-ins of this replica to wait; undefined: it did not. */
  readonly throttledMs?: number | undefined
}

export interface Replicas {
  /** The announcement of this replica. */
  announcement(): Announcement
  /** Records the announcement of another replica; anything malformed is ignored. */
  receive(id: string, announcement: Announcement): void
  /**
   * Expires silent replicas, then compares and logs. To be called when this replica's own heartbeat was written and the
   * announcements of others were read.
   */
  expireAndCompare(): void
  state(): ReplicasState
}

export interface ReplicasOptions {
  readonly name: string
  /** Hash of the configuration in force: 64 hex characters. */
  readonly config: () => string
  /** Number of the policy version in force. */
  readonly policy?: () => number | undefined
  /** Milliseconds since 1970. */
  readonly throttledUntil?: () => number | undefined
  readonly log: { warn(facts: object, text: string): void, info(facts: object, text: string): void }
  readonly reportAfterMs?: number
  /** A replica that is silent for this time is considered stopped. */
  readonly expireAfterMs?: number
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

interface Other {
  readonly name: string
  config: string
  receivedAt: number
  differs: { readonly at: number, readonly since: string } | undefined
}

const CONFIG = /^[0-9a-f]{64}$/
const NAME = /^[\w.:-]{1,100}$/
const MAX_REPLICAS = 1_000 // a role that may write to the table could announce more
const REMEDY =
  'Give all replicas the same file and the same secrets, and restart the one that is behind: a reload takes the ' +
  'mapping, access, pipeline and headers alone. During an upgrade it ends with the last replica.'

export function createReplicas(options: ReplicasOptions): Replicas {
  const { config, policy = () => undefined, expireAfterMs = 5_000, now = () => performance.now() } = options
  const own = options.name.replace(/[^\w.:-]/g, '-').slice(0, 100)
  const others = new Map<string, Other>()
  const report = createDifferenceReporter(own, options)
  let comparedAt = now()

  const expireSilent = (at: number): void => {
    const disconnected = at - comparedAt > expireAfterMs // announcements may have been missed
    comparedAt = at
    for (const [id, other] of others) {
      if (disconnected) other.receivedAt = at // guard: live-replica-not-receiving
      if (at - other.receivedAt > expireAfterMs) others.delete(id)
    }
  }
  const compare = (at: number): void => {
    for (const other of others.values()) {
      if (other.config === config()) other.differs = undefined
      else other.differs ??= { at, since: new Date().toISOString() }
    }
  }
  return {
    announcement: () => ({ config: config(), policy: policy(), name: own, throttledMs: throttledMs(options) }),
    receive(id, { config: hash, name }) {
      if (!CONFIG.test(hash) || !NAME.test(name) || id.length > 40) return
      const known = others.get(id)
      if (known) Object.assign(known, { config: hash, receivedAt: now() })
      else if (others.size < MAX_REPLICAS) {
        others.set(id, { name, config: hash, receivedAt: now(), differs: undefined })
      }
    },
    expireAndCompare() {
      const at = now()
      expireSilent(at)
      compare(at)
      report(others, at)
    },
    state() {
      const different = [...others.values()].filter((other) => other.config !== config())
      return {
        config: shortHash(config()),
        same: others.size + 1 - different.length,
        different: different.map(described),
      }
    },
  }
}

function throttledMs({ throttledUntil }: ReplicasOptions): number | undefined {
  const until = throttledUntil?.()
  return until === undefined ? undefined : Math.max(0, until - Date.now())
}

function shortHash(config: string): string {
  return config.slice(0, 12)
}

function described({ name, config, differs }: Other): OtherReplica {
  return { replica: name, config: shortHash(config), since: differs?.since ?? new Date().toISOString() }
}

/** Logs a difference that lasts too long once, until it changes, and the end of the last one. */
function createDifferenceReporter(
  replica: string,
  { config, log, reportAfterMs = 60_000 }: ReplicasOptions,
): (others: ReadonlyMap<string, Other>, at: number) => void {
  let reported = new Set<string>()
  let isOpen = false
  return (others, at) => {
    const differing = [...others].flatMap(([id, other]) => {
      const { config: theirs, differs } = other
      return differs === undefined
        ? []
        // guard: live-replica-differs
        : [{ key: `${id} ${theirs} ${config()}`, other, overdue: at - differs.at >= reportAfterMs }]
    })
    const facts = { replica, config: shortHash(config()) }
    const keys = new Set(differing.map(({ key }) => key))
    if (differing.some(({ key, overdue }) => overdue && !reported.has(key))) {
      // including those that are not overdue yet: one report for one cause
      const listed = differing.map(({ other }) => described(other))
      log.warn({ ...facts, others: listed, remedy: REMEDY }, 'replicas have run different configurations for too long')
      isOpen = true
      reported = keys
    } else {
      reported = new Set([...reported].filter((key) => keys.has(key)))
    }
    if (!isOpen || differing.length > 0) return
    isOpen = false
    log.info({ ...facts, replicas: others.size + 1 }, 'the replicas run the same configuration again')
  }
}
