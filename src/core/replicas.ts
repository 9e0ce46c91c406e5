// Do all replicas on one database run the same configuration? Each says the hash of its own with every heartbeat
// (store/changes.ts); one that differs from another for a minute says so in its log, once until something about it
// changes.

export interface OtherReplica {
  /** Host and port, as it calls itself. */
  readonly replica: string
  /** The first characters of its hash. */
  readonly config: string
  /** When it was first seen to differ, ISO 8601. */
  readonly since: string
}

export interface ReplicasState {
  readonly config: string
  /** How many run what this one runs, itself among them. */
  readonly same: number
  readonly different: readonly OtherReplica[]
}

export interface Replicas {
  /** What this one says of itself. */
  says(): string
  /** What another one says of itself; anything else that comes this way is nobody's. */
  hear(id: string, said: string): void
  /** Our own heartbeat was heard: whoever was not heard until now did say nothing. */
  look(): void
  state(): ReplicasState
}

export interface ReplicasOptions {
  readonly name: string
  /** Hash of the configuration in force: 64 hex characters. */
  readonly config: () => string
  readonly log: { warn(facts: object, text: string): void, info(facts: object, text: string): void }
  readonly reportAfterMs?: number
  /** Who says nothing for so long is not there any more. */
  readonly forgetAfterMs?: number
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

interface Other {
  readonly name: string
  config: string
  heardAt: number
  differs: { readonly at: number, readonly since: string } | undefined
}

const SAID = /^([0-9a-f]{64}) ([\w.:-]{1,100})$/
const MOST = 1_000 // whoever can notify could make up more
const SHOWN = 12
const REMEDY =
  'Give all replicas the same file and the same secrets, and restart the one that is behind: a reload takes the ' +
  'mapping, access, pipeline and headers alone. During an upgrade it ends with the last replica.'

export function createReplicas(
  { name, config, log, reportAfterMs = 60_000, forgetAfterMs = 5_000, now = () => performance.now() }: ReplicasOptions,
): Replicas {
  const own = name.replace(/[^\w.:-]/g, '-').slice(0, 100)
  const others = new Map<string, Other>()
  let lookedAt = now()
  let told = new Set<string>()
  let open = false

  const different = (): Other[] => [...others.values()].filter((other) => other.config !== config())
  const shown = (other: Other): OtherReplica => ({
    replica: other.name,
    config: other.config.slice(0, SHOWN),
    since: other.differs?.since ?? new Date().toISOString(),
  })
  const forget = (at: number): void => {
    const deaf = at - lookedAt > forgetAfterMs // what they said meanwhile could not be heard
    lookedAt = at
    for (const [id, other] of others) {
      if (deaf) other.heardAt = at // guard: live-replica-deaf
      if (at - other.heardAt > forgetAfterMs) others.delete(id)
    }
  }
  const compare = (at: number): void => {
    for (const other of others.values()) {
      if (other.config === config()) other.differs = undefined
      else other.differs ??= { at, since: new Date().toISOString() }
    }
  }
  const report = (at: number): void => {
    const differing = [...others].flatMap(([id, other]) => {
      const { config: theirs, differs } = other
      return differs === undefined
        ? []
        // guard: live-replica-differs
        : [{ key: `${id} ${theirs} ${config()}`, other, late: at - differs.at >= reportAfterMs }]
    })
    const facts = { replica: own, config: config().slice(0, SHOWN) }
    const keys = new Set(differing.map(({ key }) => key))
    if (differing.some(({ key, late }) => late && !told.has(key))) {
      // with those that are not late yet: one report for one cause
      const listed = differing.map(({ other }) => shown(other))
      log.warn({ ...facts, others: listed, remedy: REMEDY }, 'replicas have run different configurations for too long')
      open = true
      told = keys
    } else {
      told = new Set([...told].filter((key) => keys.has(key)))
    }
    if (!open || different().length > 0) return
    open = false
    log.info({ ...facts, replicas: others.size + 1 }, 'the replicas run the same configuration again')
  }
  return {
    says: () => `${config()} ${own}`,
    hear(id, said) {
      const [, hash, called = ''] = SAID.exec(said) ?? []
      if (hash === undefined || id.length > 40) return
      const known = others.get(id)
      if (known) Object.assign(known, { config: hash, heardAt: now() })
      else if (others.size < MOST) others.set(id, { name: called, config: hash, heardAt: now(), differs: undefined })
    },
    look() {
      const at = now()
      forget(at)
      compare(at)
      report(at)
    },
    state() {
      const differing = different()
      return {
        config: config().slice(0, SHOWN),
        same: others.size + 1 - differing.length,
        different: differing.map(shown),
      }
    },
  }
}
