// One local group: permissions, the mapping rows that grant it, the access rules that use it, and its members.
import Type from 'typebox'
import type { GroupDetails, PermissionUse } from '../../../admin/groups.js'
import type { MemberView } from '../../../core/people.js'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { PeopleCursorSchema } from '../api/people-schemas.js'
import { ruleLink, SHADOW } from './access-page.js'
import { badge, emptyState, idText, nameText, note, section, timeText, userLink } from './components.js'
import { groupActs } from './group-acts.js'
import { revokeLink } from './group-permission-acts.js'
import { linkTo } from './links.js'
import { listCursor, PAGE_ROWS } from './list-cursor.js'
import { defineAdminPage } from './page.js'
import { causeLine, rowLink } from './right-line.js'
import { dataTable, pager, results } from './table.js'

export const groupPage = defineAdminPage({
  path: '/admin/groups/:name',
  permission: 'gatehouse.read',
  title: 'Group',
  params: Type.Object({ name: Type.String({ minLength: 1, maxLength: 300 }) }),
  query: Type.Object({ after: Type.Optional(Type.String()) }),
  async render({ params: { name }, query, useCases, cursors, actor }) {
    const cursor = listCursor(cursors, 'getGroupsByNameMembers', PeopleCursorSchema, query.after)
    const group = await useCases.groups.get(name)
    const page = await useCases.groups.members(name, { after: cursor.after, limit: PAGE_ROWS })
    const members = html`${membersTable(group, page.rows)}
${pager({ path: linkTo('groups', name), query, next: cursor.next(page) })}`
    return {
      title: name,
      lead: leadOf(group),
      trail: [{ label: 'Groups', href: '/admin/groups' }],
      content: html`${group.exists ? '' : missingNote(name)}
${groupActs(group, actor)}
${section({ id: 'permissions', title: 'Permissions', content: permissionsTable(group, actor) })}
${section({ id: 'rows', title: 'Granted by', content: rowsTable(group) })}
${section({ id: 'rules', title: 'Used by access rules', content: rulesTable(group) })}
${section({ id: 'members', title: `Members (${group.members})`, content: results(members) })}`,
    }
  },
})

function leadOf({ description, members }: GroupDetails): Html | string {
  const count = `${members} ${members === 1 ? 'member' : 'members'}`
  return description === '' ? count : html`${nameText(description)} · ${count}`
}

function missingNote(name: string): Html {
  const command = `gatehouse groups add ${JSON.stringify(name)}`
  return note(
    html`There is no local group of this name, and no user is in it. Add it with <code>${command}</code>.`,
    'bad',
  )
}

function permissionsTable({ name, exists, permissionDetails }: GroupDetails, actor: AdminActor): Html {
  const mayChange = actor.permissions.has('gatehouse.policy')
  return dataTable<PermissionUse>({
    caption: 'Permissions',
    rows: permissionDetails,
    columns: [
      { heading: 'Permission', cell: ({ permission }) => html`<code>${permission}</code>` },
      {
        heading: 'Allows',
        cell: ({ meaning }) => meaning ?? html`<span class="soft">what applications make of it</span>`,
      },
      ...mayChange
        ? [{ heading: 'Take away', cell: ({ permission }: PermissionUse) => revokeLink(name, permission) }]
        : [],
    ],
    empty: emptyState({
      title: 'No permission.',
      next: html`Applications get the name of the group alone. ${
        mayChange && exists ? html`<a href="${linkTo('groups', name)}/grant">Give it a permission</a>` : ''
      }`,
    }),
  })
}

function rowsTable({ rowDetails }: GroupDetails): Html {
  return dataTable<GroupDetails['rowDetails'][number]>({
    caption: 'Mapping rows that grant this group',
    rows: rowDetails,
    columns: [
      { heading: 'Row', cell: ({ row }) => rowLink(row) },
      { heading: 'Label', cell: ({ label }) => label === null ? '' : nameText(label) },
      { heading: 'Entra group', cell: ({ entraGroup }) => idText(entraGroup) },
    ],
    empty: emptyState({
      title: 'No row of the mapping grants it.',
      next: html`Only an administrator puts users into it. The <a href="/admin/mapping">mapping</a> has all rows.`,
    }),
  })
}

function rulesTable({ ruleDetails }: GroupDetails): Html {
  return dataTable<GroupDetails['ruleDetails'][number]>({
    caption: 'Access rules that use this group',
    rows: ruleDetails,
    columns: [
      {
        heading: 'Rule',
        cell: ({ rule, name, enforced }) => html`${ruleLink({ path: rule, name })}${enforced ? '' : html` ${SHADOW}`}`,
      },
      { heading: 'Requests', cell: ({ description }) => description },
      { heading: 'Allows', cell: ({ allows }) => allows },
      { heading: 'By', cell: ({ permission }) => permission === null ? 'its name' : html`<code>${permission}</code>` },
    ],
    empty: emptyState({
      title: 'No access rule uses it.',
      next: html`Applications may use it all the same. The page <a href="/admin/access">Access</a> has all rules.`,
    }),
  })
}

function membersTable({ name, rowDetails }: GroupDetails, rows: readonly MemberView[]): Html {
  const labels = new Map(rowDetails.map(({ entraGroup, label }) => [entraGroup, label]))
  return dataTable<MemberView>({
    caption: `Members of ${name}`,
    rows,
    columns: [
      { heading: 'Name', cell: memberName },
      { heading: 'Why', cell: (member) => causeLine(member, (entraGroup) => labels.get(entraGroup) ?? null) },
      { heading: 'Since', kind: 'time', cell: ({ since }) => timeText(since) },
    ],
    empty: emptyState({ title: 'No member.', next: 'Users become members when they sign in, by the mapping.' }),
  })
}

function memberName(member: MemberView): Html {
  return html`<span class="named">${userLink(member)}${member.isActive ? '' : badge('inactive')}</span>`
}
