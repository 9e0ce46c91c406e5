// One user: who it is, every right with its reason, what is granted but not held, sessions and the latest audit rows.
import Type from 'typebox'
import type { PersonDetails, Right } from '../../../admin/person.js'
import type { AuditActor } from '../../../core/audit.js'
import type { EntraIdentity } from '../../../core/people.js'
import { html, type Html, type Value } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { viewerOf } from '../viewer.js'
import { badge, contents, facts, idText, nameText, note, section, tag, timeText } from './components.js'
import { takeGroupLink } from './membership-acts.js'
import { defineAdminPage } from './page.js'
import { personEvents, personSessions } from './person-events.js'
import { personActs } from './person-acts.js'
import { policyLinks } from './person-policy.js'
import { endSessionLink } from './session-acts.js'
import { notHeldList, rightsList } from './person-rights.js'

export const personPage = defineAdminPage({
  path: '/admin/people/:id',
  permission: 'gatehouse.read',
  title: 'Person',
  params: Type.Object({ id: Type.String({ format: 'uuid' }) }),
  query: Type.Object({ after: Type.Optional(Type.Integer({ minimum: 0 })) }),
  async render({ params, query, useCases, actor, request }) {
    const person = await useCases.people.get(params.id, viewerOf(actor, request))
    const shown = { actor, actors: await useCases.audit.actorsOf(person.audit), after: query.after }
    const sections = [...sectionsOf(person, shown), policyLinks(params.id)]
    return {
      title: person.name ?? person.username,
      lead: html`${nameText(person.username)} ${badges(person)}`,
      trail: [{ label: 'People', href: '/admin/people' }],
      content: html`${personActs(person, actor)}
${contents(sections)}
${namesakes(person)}
${sections.map((each) => section(each))}`,
    }
  },
})

interface PersonSection {
  readonly id: string
  readonly title: string
  readonly lead?: Value
  readonly content: Html
}

interface Shown {
  readonly actor: AdminActor
  /** Of the audit rows. */
  readonly actors: ReadonlyMap<string, AuditActor>
  /** Rights on the pages before. */
  readonly after: number | undefined
}

/** In the order of the page. */
function sectionsOf(person: PersonDetails, { actor: { permissions }, actors, after }: Shown): readonly PersonSection[] {
  const { rights, notHeld, sessions, audit } = person
  const end = permissions.has('gatehouse.sessions') ? endSessionLink : undefined
  const take = permissions.has('gatehouse.people') ? (right: Right) => takeGroupLink(person, right) : undefined
  return [
    { id: 'rights', title: `Rights (${rights.length})`, content: rightsList(person, after, take) },
    ...notHeld.length === 0 ? [] : [{
      id: 'not-held',
      title: `Granted but not held (${notHeld.length})`,
      lead: 'What the last snapshot of the Entra groups grants under the mapping in force.',
      content: notHeldList(person),
    }],
    { id: 'about', title: 'About', content: about(person) },
    {
      id: 'sessions',
      title: `Active sessions (${person.liveSessions})`,
      content: personSessions(person, sessions, end),
    },
    { id: 'audit', title: 'Audit', lead: `The latest ${audit.length} rows.`, content: personEvents(person, actors) },
  ]
}

function badges({ isActive, isStaff, isSuperuser, isBreakGlass }: PersonDetails): Html {
  return html`${isSuperuser ? badge('superuser') : ''}${isStaff ? badge('staff') : ''}${
    isActive ? '' : badge('inactive')
  }${isBreakGlass ? tag('break-glass', 'warn') : ''}`
}

function namesakes({ username, namesakes: others }: PersonDetails): Html {
  if (others.length === 0) return html``
  const names = others.map((other, index) => html`${index > 0 ? ', ' : ''}${nameText(other)}`)
  return note(
    html`This page is about the user with the username ${nameText(username)}. The same name is or was the UPN of
${names}.`,
    'warn',
  )
}

function about(person: PersonDetails): Html {
  const { email, emailVerified, entraGroups, readAt } = person
  return facts([
    ['Username', nameText(person.username)],
    ['User id', idText(person.id)],
    ['E-mail', email === null ? null : html`${nameText(email)}${emailVerified ? '' : ' (not verified)'}`],
    ['Added', timeText(person.createdAt)],
    ['Last sign-in', timeText(person.lastLoginAt, 'never')],
    [
      'Last snapshot',
      readAt === null
        ? 'none: Graph was never asked'
        : html`${entraGroups} ${entraGroups === 1 ? 'Entra group' : 'Entra groups'} at ${timeText(readAt)}`,
    ],
    ...person.identities.map((identity): readonly [string, Value] => ['Entra ID', identityText(identity)]),
    ...person.identities.length > 0 ? [] : [['Entra ID', 'no account: added by hand'] as const],
  ])
}

function identityText({ tid, oid, upn, upnSeenAt }: EntraIdentity): Html {
  return html`<span class="named">${
    upn === null ? html`<span class="soft">UPN not known yet</span>` : html`<span
 class="name">${nameText(upn)}</span>`
  }<span class="soft">Object ID ${idText(oid)} in tenant ${idText(tid)}${
    upnSeenAt === null ? '' : html`, as of ${timeText(upnSeenAt)}`
  }</span></span>`
}
