// Why the embedded server did not start, or ended: a line of its log, and the matching remedy.
import { GatehouseError } from '../core/errors.js'

/** Lines of the log that are kept: the first FATAL line names the cause, later ones the consequences. */
const KEPT_LINES = 200

export interface ServerLog {
  add(chunk: string): void
  /** Discards the lines before the next start. */
  clear(): void
  hasLine(what: RegExp): boolean
  /** The first FATAL or PANIC line, else initdb's error, else the last line. */
  cause(): string | undefined
}

export function createServerLog(): ServerLog {
  let lines: string[] = []
  let rest = ''
  return {
    add(chunk) {
      const parts = (rest + chunk).split('\n')
      rest = parts.pop() ?? ''
      lines = [...lines, ...parts.filter((line) => line.trim() !== '')].slice(-KEPT_LINES)
    },
    clear() {
      lines = []
      rest = ''
    },
    hasLine: (what) => lines.some((line) => what.test(line)),
    cause() {
      const all = rest.trim() === '' ? lines : [...lines, rest]
      const first = (what: RegExp): string | undefined => all.find((line) => what.test(line))
      const grave = first(/\b(FATAL|PANIC):/) ?? first(/\berror:/) ?? all.at(-1) // guard: adv-embedded-cause
      return grave?.replace(/^.*?\b(?=(FATAL|PANIC):)/, '').trim()
    },
  }
}

const REMEDIES: readonly (readonly [cause: RegExp, remedy: (cluster: string) => string])[] = [
  [
    /no space left|ENOSPC|quota exceeded|EDQUOT/i,
    (cluster) => `Make room on the disk that holds ${cluster}, then start again.`,
  ],
  [
    /shared memory segment|resize shared memory|\/dev\/shm/i,
    () => 'Give the machine or the container more shared memory (docker run --shm-size=256m).',
  ],
  [
    /postmaster\.pid" already exists|is in use|pre-existing shared memory/i,
    (cluster) => `Another server uses ${cluster}: end it, or give this Gatehouse another database.dataDir.`,
  ],
  [
    /address already in use|could not bind|EADDRINUSE|create any (TCP\/IP|Unix-domain) socket/i,
    () => 'Another program has the address: end it, and start again.',
  ],
  [
    /(EINVAL|EPERM).*chown/i,
    () =>
      'This root may not give files to another user (a user namespace): start Gatehouse as an ordinary user, ' +
      'or set database.url.',
  ],
  [/look up effective user/i, () => 'Start Gatehouse as a user that has an entry in the user database.'],
  [
    /incompatible with server|initialized by PostgreSQL version/i,
    (cluster) =>
      `${cluster} was made by another major version of PostgreSQL: export it with the Gatehouse ` +
      'that made it, and begin with an empty database.dataDir.',
  ],
  [
    /locale|encoding|lc_(messages|monetary|numeric|time)/i,
    (cluster) =>
      'The cluster wants a locale that this machine lacks: install it (locale-gen), ' +
      `or write 'C' for every lc_ setting in ${cluster}/postgresql.conf.`,
  ],
  [
    /permission denied|EACCES|not permitted|EPERM|invalid permissions|wrong ownership/i,
    (cluster) =>
      `The server's user must own ${cluster} (mode 0700) and be let through every folder above it; ` +
      'otherwise give another database.dataDir.',
  ],
  [/read-only file system|EROFS/i, () => 'Give a database.dataDir on a file system that can be written to.'],
]

export function serverFailure(what: string, cluster: string, log: ServerLog, cause?: unknown): GatehouseError {
  const line = log.cause() ?? (cause instanceof Error ? cause.message : 'it wrote nothing')
  const [, remedy] = REMEDIES.find(([pattern]) => pattern.test(line)) ?? []
  return new GatehouseError('database_unavailable', {
    cause,
    detail: `the embedded PostgreSQL ${what}: ${line}`,
    remedy: remedy?.(cluster) ?? `Check the files in ${cluster}.`,
  })
}
