// A person's rights with their reasons, in the shape that pages show.
import type { Cause } from '../core/mapping.js'
import type { PersonView } from './people.js'

interface Reason { readonly entraGroups: readonly string[], readonly since: string | null }

export function rightsOf(person: PersonView | undefined) {
  const reason = (cause: readonly Cause[] | null, since: string | null): Reason => ({ entraGroups: [...new Set(cause?.map((each) => each.entraGroup))], since })
  return {
    groups: (person?.groups ?? []).map(({ name, cause, since }) => ({ name, reason: reason(cause, since) })),
    staff: person?.isStaff ? reason(person.staffCause, person.staffSince) : undefined,
    superuser: person?.isSuperuser ? reason(person.superuserCause, person.superuserSince) : undefined,
  }
}
