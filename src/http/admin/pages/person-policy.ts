// What the policy means for one user: what a sign-in would give, and what the user may open. Sections of the user's
// page, and pages of their own with everything.
import { Type } from 'typebox'
import type { Explanation } from '../../../admin/explain.js'
import type { HostAccess, PersonAccessPage } from '../../../admin/person-access.js'
import type { AdminUseCases } from '../../../admin/use-cases.js'
import { GatehouseError } from '../../../core/errors.js'
import { isChange, type RowHit } from '../../../core/explain.js'
import type { GroupRead } from '../../../core/entra-groups.js'
import { html, type Html, type Value } from '../../pages/html.js'
import { ruleLink } from './access-page.js'
import { decisionTag, emptyState, facts, named, nameText, note, tag, timeText } from './components.js'
import { link, linkTo } from './links.js'
import { shortList } from './lists.js'
import { rowLink } from './mapping-page.js'
import { defineAdminPage } from './page.js'
import { dataTable, pager, results, type Column } from './table.js'

const PARAMS = Type.Object({ id: Type.String({ format: 'uuid' }) })
/** In the section of the user's page; the page of its own has the others. */
const HOSTS_IN_SECTION = 20
const GROUPS_SHOWN = 50

export const explainPage = defineAdminPage({
  path: '/admin/people/:id/explain',
  permission: 'gatehouse.read',
  title: 'What a sign-in would give',
  params: PARAMS,
  query: Type.Object({ live: Type.Optional(Type.Boolean()) }),
  async render({ params: { id }, query: { live = false }, useCases: { explain } }) {
    const explained = await explanationOf(explain, id, live)
    if (explained === undefined) throw new GatehouseError('not_found')
    const user = explained instanceof GatehouseError ? undefined : explained.user
    return {
      title: 'What a sign-in would give now',
      trail: trailTo(id, user?.username),
      content: explained instanceof GatehouseError ? failed(explained, id) : explanation(explained, id),
    }
  },
})

export const personAccessPage = defineAdminPage({
  path: '/admin/people/:id/access',
  permission: 'gatehouse.read',
  title: 'What a user may open',
  params: PARAMS,
  query: Type.Object({ after: Type.Optional(Type.Integer({ minimum: 0 })) }),
  async render({ params: { id }, query, useCases: { personAccess } }) {
    const page = await personAccess.access(id, query)
    if (page === undefined) throw new GatehouseError('not_found')
    const path = `${linkTo('people', id)}/access`
    const next = page.next === undefined ? undefined : String(page.next)
    return {
      title: 'What they may open',
      lead: 'Every application of the configuration, and every host that an access rule names: GET / there.',
      trail: trailTo(id, undefined),
      content: results(html`${hostTable(page)}${pager({ path, query, next })}`),
    }
  },
})

/** For section(). */
interface Section {
  readonly id: string
  readonly title: string
  readonly lead?: Value
  readonly content: Html
}

/** For the user's page: the answers are on pages of their own. */
export function policyLinks(id: string): Section {
  return {
    id: 'policy',
    title: 'What the policy means for them',
    content: html`<ul><li><a href="${linkTo('people', id)}/explain">What a sign-in would give now</a></li>
<li><a href="${linkTo('people', id)}/access">What they may open</a></li></ul>`,
  }
}

/** For the user's page: from the last snapshot; live reads have a page of their own. */
export async function explainSection({ explain }: Pick<AdminUseCases, 'explain'>, id: string): Promise<Section> {
  const explained = await explanationOf(explain, id, false)
  return {
    id: 'explain',
    title: 'What a sign-in would give now',
    content: explained === undefined || explained instanceof GatehouseError
      ? failed(explained ?? new GatehouseError('not_found'), id)
      : explanation(explained, id),
  }
}

export async function accessSection(
  { personAccess }: Pick<AdminUseCases, 'personAccess'>,
  id: string,
): Promise<Section> {
  const page = await personAccess.access(id, { limit: HOSTS_IN_SECTION }) ?? { rows: [], next: undefined }
  const all = html`<p><a href="${linkTo('people', id)}/access">All hosts, with their rules</a></p>`
  return {
    id: 'access',
    title: 'What they may open',
    lead: 'GET / at every application and every host that an access rule names.',
    content: html`${hostTable(page)}${page.next === undefined ? '' : all}`,
  }
}

function trailTo(id: string, username: string | undefined) {
  return [{ label: 'People', href: '/admin/people' }, { label: username ?? 'User', href: linkTo('people', id) }]
}

/** Failures of Entra ID and Graph are shown on the page, which has more to show. */
async function explanationOf(
  explain: AdminUseCases['explain'],
  id: string,
  live: boolean,
): Promise<Explanation | GatehouseError | undefined> {
  try {
    return await explain.explain(id, { live })
  } catch (error) {
    const known = error instanceof GatehouseError && /^(?:graph_|entra_|person_|rate_|snapshot_)/.test(error.code)
    if (known) return error
    throw error
  }
}

function failed({ code, sentence, message, remedy }: GatehouseError, id: string): Html {
  const detail = message === sentence ? '' : ` ${message}.`
  const last = html`<a href="${linkTo('people', id)}/explain">last snapshot</a>`
  return html`${note(html`<span data-finding="${code}">${sentence}</span>${detail} ${remedy}`, 'warn')}
<p>${liveLink(id)}${code === 'snapshot_missing' ? '' : html`, or see the ${last}`}.</p>`
}

function liveLink(id: string): Html {
  return html`<a href="${link(`${linkTo('people', id)}/explain`, { live: true })}">Read their groups from Graph now</a>`
}

function explanation(explained: Explanation, id: string): Html {
  const { live, readAt, entraGroups, nestedOnly, groups, missing, refused, rows, memberships, rowsNotHit } = explained
  const nested = nestedOnly === undefined ? '' : `, ${nestedOnly} of them through nesting alone`
  return html`<p>From ${entraGroups} Entra groups${nested}, ${live ? 'read from Graph' : 'of the last snapshot'} at ${
    timeText(readAt)
  }. ${live ? '' : html`${liveLink(id)}.`}</p>
${refused ? note('The sign-in would be refused: nothing is granted, and requireMappedGroup is set.', 'warn') : ''}
${
    facts([
      ['Would change', changeOf(explained)],
      ['Local groups', groups.length === 0 ? 'none' : shortList(groups, nameText, 20)],
      ['Flags', flagsOf(explained)],
      ['Skipped', missing.length === 0 ? undefined : html`${shortList(missing, nameText)}: these groups do not exist`],
      ['Rows not hit', html`${rowsNotHit.length} (<a href="/admin/mapping">the mapping</a>)`],
    ])
  }
${
    dataTable({
      caption: 'Rows of the mapping that are hit',
      columns: rowColumns(memberships),
      rows: rows.slice(0, GROUPS_SHOWN),
      empty: emptyState({
        title: 'None of their Entra groups has a row.',
        next: html`Compare the object IDs of their groups with <a href="/admin/mapping">the mapping</a>.`,
      }),
    })
  }
${rows.length > GROUPS_SHOWN ? html`<p class="soft">and ${rows.length - GROUPS_SHOWN} more rows</p>` : ''}
${unmapped(memberships)}`
}

function rowColumns(memberships: readonly GroupRead[]): readonly Column<RowHit>[] {
  const names = new Map(memberships.map(({ entraGroup, name }) => [entraGroup, name]))
  return [
    { heading: 'Row', cell: ({ row }) => rowLink(row, row) },
    {
      heading: 'Entra group',
      cell: ({ label, entraGroup }) => named({ name: label ?? names.get(entraGroup) ?? entraGroup, id: entraGroup }),
    },
    { heading: 'Through', cell: ({ nestedOnly }) => throughOf(nestedOnly) },
    { heading: 'Grants', cell: grantsOf },
  ]
}

function throughOf(nestedOnly: boolean | undefined): string {
  if (nestedOnly === undefined) return 'not known'
  return nestedOnly ? 'nesting' : 'direct'
}

function grantsOf({ superuser, staff, groups }: RowHit): Html {
  return html`${superuser ? tag('superuser', 'strong') : ''} ${staff ? tag('staff', 'info') : ''} ${
    shortList(groups, nameText)
  }`
}

function flagsOf({ staff, superuser }: Explanation): Value {
  if (!staff && !superuser) return 'none'
  return html`${superuser ? tag('superuser', 'strong') : ''} ${staff ? tag('staff', 'info') : ''}`
}

function changeOf({ change }: Explanation): Value {
  if (!isChange(change)) return 'nothing'
  const gained = [...change.superuser === 1 ? ['superuser'] : [], ...change.staff === 1 ? ['staff'] : []]
  const lost = [...change.superuser === -1 ? ['superuser'] : [], ...change.staff === -1 ? ['staff'] : []]
  const list = (word: string, flags: readonly string[], groups: readonly string[]): Value =>
    flags.length + groups.length === 0 ? '' : html`${word} ${shortList([...flags, ...groups], nameText, 20)}. `
  return html`${list('Gains', gained, change.gained)}${list('Loses', lost, change.lost)}`
}

function unmapped(memberships: readonly GroupRead[]): Html {
  const others = memberships.filter(({ rows }) => rows.length === 0)
  if (others.length === 0) return html``
  const shown = shortList(
    others,
    ({ entraGroup, name }) =>
      html`${name === undefined ? '' : html`${nameText(name)} `}<code class="id">${entraGroup}</code>`,
    GROUPS_SHOWN,
  )
  return html`<details><summary>${others.length} Entra groups without a row</summary><p>${shown}</p></details>`
}

function hostTable({ rows }: Pick<PersonAccessPage, 'rows'>): Html {
  return dataTable({
    caption: 'Applications and hosts',
    columns: [
      { heading: 'Host', cell: hostName },
      { heading: 'Decision', cell: ({ decision }) => decisionTag(decision) },
      { heading: 'Rule', cell: ({ rules }) => shortList(rules, ruleLink) },
      { heading: 'Because', cell: ({ rules }) => nameText(rules[0]?.because ?? '') },
    ],
    rows,
    empty: emptyState({
      title: 'The configuration names no application and no host.',
      next: html`Add them to <code>applications</code> or <code>access.rules</code>.`,
    }),
  })
}

function hostName({ host, application }: HostAccess): Html {
  const shown = host.startsWith('*.') ? `every other host below ${host.slice(2)}` : host
  return application === undefined ? named({ name: shown }) : named({ name: application, id: host })
}
