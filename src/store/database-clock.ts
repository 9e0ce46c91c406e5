// The database's clock as this process knows it, for what is counted by the hour.
import type { Database } from './database.js'
import { databaseTime } from './intervals.js'

/** Minutes are those of the database's clock, also while it does not answer. */
export function createDatabaseClock(database: Database, now: () => number) {
  let ahead: number | undefined
  const set = (time: number): void => {
    ahead = time - now()
  }
  return {
    set,
    async learn(): Promise<void> {
      if (ahead === undefined) set(Date.parse(await databaseTime(database)))
    },
    at: (time: number): number => time + (ahead ?? 0),
  }
}
