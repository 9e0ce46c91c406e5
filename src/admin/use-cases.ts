// Everything that an administrator can do, in one object: the console's pages, its API and the commands call the same
// functions, so that they cannot differ. `src/console.ts` makes it.
import type { AuditAdmin } from './audit.js'
import type { GroupsAdmin } from './groups.js'
import type { PeopleAdmin } from './people.js'
import type { SessionsAdmin } from './sessions.js'

/** Each part of the console adds its own member. */
export interface AdminUseCases {
  readonly people: PeopleAdmin
  readonly groups: GroupsAdmin
  readonly sessions: SessionsAdmin
  readonly audit: AuditAdmin
}
