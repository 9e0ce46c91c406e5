// The database: there, at this version, and with a clock like ours.
import { clockFits } from './entra.js'
import { failure, type Check, type Finding } from './finding.js'

export interface DatabaseQuestions {
  /** The database's time, in milliseconds since 1970. */
  readonly time: () => Promise<number>
  /** Migrations that are not applied yet. */
  readonly pending: () => Promise<readonly string[]>
  readonly now?: () => number
}

export function databaseFits({ time, pending, now = Date.now }: DatabaseQuestions): Check {
  return async () => {
    try {
      const asked = now()
      const theirs = await time()
      const skewMs = theirs - (asked + now()) / 2
      return [{ state: 'ok', code: 'database', says: 'PostgreSQL answers' }, clockFits('the database', skewMs), migrations(await pending())]
    } catch (error) {
      return [failure(error, 'fail')]
    }
  }
}

function migrations(pending: readonly string[]): Finding {
  if (pending.length === 0) return { state: 'ok', code: 'migrations', says: 'the tables are at this version' }
  return { state: 'fail', code: 'migrations_pending', says: `not applied yet: ${pending.join(', ')}`, remedy: 'gatehouse migrate (a start does it too)' }
}
