// One question about up to ten people. Whoever fails, fails alone: an answer that cannot be used for all is asked for
// one by one.
import { randomUUID } from 'node:crypto'
import { GatehouseError } from '../core/errors.js'
import type { SyncPerson, SyncReading } from '../core/reevaluation.js'
import type { SyncDeps } from './ports.js'
import { settle } from './apply.js'

export interface Failure {
  readonly error: GatehouseError
  people: number
  readonly correlationId: string
}

/** How a turn goes. */
export interface Course {
  /** How many were heard of. */
  read: number
  /** Questions in a row without any use. */
  vain: number
  /** Graph says nothing, or nothing more for now. */
  silent: boolean
  /** The database or the lock cannot be asked. */
  broken: { readonly error: unknown } | undefined
  /** One for each code. */
  readonly failures: Map<string, Failure>
  /**
   * Ids of users who are asked about without others, for longer than one turn: a question about them and others failed.
   */
  readonly alone: Set<string>
}

/**
 * @returns whom to ask about one by one, at once
 * @throws where the database is gone
 */
export async function ask(
  deps: SyncDeps,
  course: Course,
  people: readonly SyncPerson[],
): Promise<readonly SyncPerson[]> {
  const { source, store } = deps
  const reading: SyncReading = { readAt: await store.now(), correlationId: randomUUID() }
  const standings = await source.read(people.map(({ oid }) => oid), reading.correlationId).catch((thrown: unknown) =>
    asError(thrown)
  )
  if (standings instanceof GatehouseError) return await unheard(deps, course, people, standings, reading.correlationId)
  course.vain = 0
  const failed: SyncPerson[] = []
  for (const person of people) {
    const standing = standings.get(person.oid) ?? { kind: 'failed', error: new GatehouseError('graph_malformed') }
    if (standing.kind === 'failed') {
      note(course, standing.error, 1, reading.correlationId)
      failed.push(person)
      continue
    }
    course.alone.delete(person.userId)
    try {
      deps.report.counted(await settle(deps, person, reading, standing), 1)
      course.read++
    } catch (error) { // their row is locked, or they are gone; or the database is, and then this fails as well
      note(course, asError(error), 1, reading.correlationId)
      await store.failed([person])
    }
    if (course.broken) break
  }
  if (failed.length > 0) await store.failed(failed)
  return []
}

async function unheard(
  { source, store }: SyncDeps,
  course: Course,
  people: readonly SyncPerson[],
  error: GatehouseError,
  correlationId: string,
): Promise<readonly SyncPerson[]> {
  course.vain++
  if (people.length > 1 && !isSilence(error)) {
    for (const { userId } of people) course.alone.add(userId)
    return people
  }
  course.silent ||= isSilence(error) || course.vain > 2 * source.batch
  note(course, error, people.length, correlationId)
  await store.failed(people)
  return []
}

/** Without a token, or without Graph, more questions are of no use. */
function isSilence({ code }: GatehouseError): boolean {
  return code.startsWith('entra_') || code === 'graph_unavailable' || code === 'graph_throttled'
}

function note({ failures }: Course, error: GatehouseError, people: number, correlationId: string): void {
  const same = failures.get(error.code)
  if (same) same.people += people
  else failures.set(error.code, { error, people, correlationId })
}

function asError(error: unknown): GatehouseError {
  return error instanceof GatehouseError
    ? error
    : new GatehouseError('internal', {
      cause: error,
      detail: error instanceof Error ? error.message : String(error),
      remedy: 'Please report it.',
    })
}
