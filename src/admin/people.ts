// Users for the console, its API and the commands: lists, and one user with all reasons.
import { GatehouseError } from '../core/errors.js'
import { isObjectId } from '../core/identity.js'
import type { GroupsList } from '../core/groups.js'
import type { MappingRow } from '../core/mapping.js'
import type { Page } from '../core/page.js'
import type {
  PeopleCursor,
  PeopleRequest,
  PeopleStore,
  PersonSummary,
  PersonView,
  RecordPersonViewed,
} from '../core/people.js'
import type { Review } from '../core/reviews.js'
import type { SessionsList } from '../core/sessions-list.js'
import { rightsHeld, rightsNotHeld, textOfRight, type PersonDetails, type PersonEvent } from './person.js'
import { checkText } from './text.js'
import { actorOf, byOf, type Viewer } from './viewer.js'

export interface PeopleAdmin {
  list(request: PeopleRequest): Promise<Page<PersonSummary, PeopleCursor>>
  /** The same users with their reasons. */
  listDetailed(request: PeopleRequest): Promise<Page<PersonView, PeopleCursor>>
  /** @param user username, UPN, e-mail address or id @throws `user_unknown`, `user_ambiguous` */
  find(user: string): Promise<PersonView>
  /** Recorded: who looked at whom. @throws `user_unknown` */
  get(id: string, viewer: Viewer): Promise<PersonDetails>
}

export interface PeoplePorts {
  readonly people: PeopleStore
  readonly sessions: SessionsList
  readonly groups: Pick<GroupsList, 'named'>
  /** The Entra groups of the last snapshot; undefined where there is none. */
  readonly entraGroupsOf: (userId: string) => Promise<readonly string[] | undefined>
  /** The latest audit rows of a user, newest first. */
  readonly auditOf: (userId: string, limit: number) => Promise<readonly PersonEvent[]>
  /** The marks that count, by the text of the right. */
  readonly reviewsOf: (userId: string) => Promise<ReadonlyMap<string, Review>>
  readonly recordViewed: RecordPersonViewed
  /** The mapping in force. */
  readonly mapping: () => readonly MappingRow[]
  /** The same for people to read. */
  readonly shownMapping?: () => readonly MappingRow[]
}

const MAX_EVENTS = 50
/** More than session.maxPerUser usually is. */
const MAX_SESSIONS = 50

export function createPeopleAdmin(ports: PeoplePorts): PeopleAdmin {
  const { people } = ports
  return {
    async list(request) {
      checkText(request.q, request.group)
      return await people.list(request)
    },
    async listDetailed(request) {
      checkText(request.q, request.group)
      return await people.listDetailed(request)
    },
    async find(user) {
      checkText(user)
      return await people.find(user)
    },
    async get(id, viewer) {
      const person = isObjectId(id) ? await people.byId(id) : undefined
      if (person === undefined) throw new GatehouseError('user_unknown', { detail: 'there is no user with this id' })
      await ports.recordViewed({ // guard: admin-view-recorded
        actor: actorOf(viewer),
        userId: person.id,
        username: person.username,
        correlationId: viewer.correlationId,
        detail: byOf(viewer),
      })
      return await detailsOf(person, ports)
    },
  }
}

async function detailsOf(person: PersonView, ports: PeoplePorts): Promise<PersonDetails> {
  const mapping = ports.mapping()
  const names = new Set([...person.groups.map(({ name }) => name), ...mapping.flatMap((row) => row.groups)])
  const [groups, entraGroupIds, { rows: sessions }, audit, reviews] = await Promise.all([
    ports.groups.named([...names]),
    ports.entraGroupsOf(person.id),
    ports.sessions.list({ userId: person.id, limit: MAX_SESSIONS }),
    ports.auditOf(person.id, MAX_EVENTS),
    ports.reviewsOf(person.id),
  ])
  const facts = { person, mapping, shown: ports.shownMapping?.() ?? mapping, entraGroupIds, groups }
  const rights = rightsHeld(facts).map((right) => ({ ...right, review: reviews.get(textOfRight(right)) ?? null }))
  return { ...person, rights, notHeld: rightsNotHeld(facts), sessions, audit }
}
