// Forms that change local groups, and the links to them.
import Type from 'typebox'
import { groupVersion } from '../../../admin/acts/group-policy.js'
import type { GroupDetails } from '../../../admin/groups.js'
import { GatehouseError } from '../../../core/errors.js'
import { MOST_GROUP_NAME } from '../../../core/group-definitions.js'
import { versionTag } from '../../../core/version-tag.js'
import { html, type Html } from '../../pages/html.js'
import type { AdminActor } from '../actor.js'
import { addGroup, changeGroup, Description, NewGroupName, removeGroup } from '../api/group-acts.js'
import { GroupName } from '../api/groups.js'
import { defineActPage, type ActForm } from './act-page.js'
import { linesOf, textArea, textField } from './form-fields.js'
import { nameText, note } from './components.js'
import { link, linkTo } from './links.js'
import type { PageRequest } from './page.js'
import { joined, rowLink } from './right-line.js'
import { shortened } from './shortened.js'

export const GROUPS_TRAIL = { label: 'Groups', href: '/admin/groups' } as const

/** For pages about a group that exists. */
export async function groupForm<Params extends { readonly name: string }>(
  { params: { name }, useCases }: PageRequest<unknown, Params>,
  made: (group: GroupDetails) => Omit<ActForm, 'trail' | 'back' | 'version'>,
): Promise<ActForm> {
  const group = await useCases.groups.get(name)
  if (!group.exists) throw new GatehouseError('group_unknown')
  const back = linkTo('groups', name)
  const trail = [GROUPS_TRAIL, { label: shortened(name), href: back }]
  return { ...made(group), trail, back, version: versionTag(groupVersion(group)) }
}

export const addGroupPage = defineActPage({
  act: addGroup,
  path: '/admin/add-group', // a group may be called "add"
  title: 'Add a group',
  params: Type.Object({}),
  fields: { name: NewGroupName, description: Type.Optional(Description) },
  prefilled: ['name'],
  bodyOf: ({ name, description = '' }) => ({ name, description: linesOf(description) }),
  done: 'The group is added.',
  describe: async ({ values: { name, description } }) => ({
    title: 'Add a group',
    trail: [GROUPS_TRAIL],
    content: html`<p>The group begins without permissions and without members. A row of the
<a href="/admin/mapping">mapping</a> that names it gives it to users at their next sign-in or re-evaluation.</p>`,
    fields: fieldsOf(name, description),
    button: 'Add this group',
    back: '/admin/groups',
    ...name === undefined || name === '' ? {} : { next: linkTo('groups', name) },
  }),
})

function fieldsOf(name: string | undefined, description: string | undefined): Html {
  const maxLength = MOST_GROUP_NAME
  return html`${textField({ name: 'name', label: 'Name', value: name, maxLength, hint: 'Exact: case counts.' })}${
    textArea({
      name: 'description',
      label: 'Description (optional)',
      value: description,
      maxLength: 1000,
      rows: 3,
      optional: true,
    })
  }`
}

export const changeGroupPage = defineActPage({
  act: changeGroup,
  path: '/admin/groups/:name/change',
  title: 'Change a group',
  params: GroupName,
  fields: { to: NewGroupName, description: Type.Optional(Description) },
  bodyOf: ({ to, description = '' }) => ({ name: to, description: linesOf(description) }),
  done: 'The group is changed.',
  async describe(asked) {
    const { to, description } = asked.values
    const form = await groupForm(asked, (group) => ({
      title: `Rename or describe ${shortened(group.name)}`,
      content: html`<p>${people(group.members)} and ${permissions(group)} stay with the group. Applications get the new
name immediately.</p>${namedNote(group, 'change that too, or its members lose the group')}`,
      fields: html`${textField({ name: 'to', label: 'Name', value: to ?? group.name, maxLength: MOST_GROUP_NAME })}${
        textArea({
          name: 'description',
          label: 'Description',
          value: description ?? group.description,
          maxLength: 1000,
          rows: 3,
          optional: true,
        })
      }`,
      button: `Change ${shortened(group.name)}`,
    }))
    return to === undefined || to === '' ? form : { ...form, next: linkTo('groups', to) }
  },
})

export const removeGroupPage = defineActPage({
  act: removeGroup,
  path: '/admin/groups/:name/remove',
  title: 'Remove a group',
  params: GroupName,
  fields: { confirm: Type.Optional(Type.String({ maxLength: 300 })) },
  bodyOf: ({ confirm }) => confirm === undefined ? {} : { force: true },
  done: 'The group is removed.',
  async describe(asked) {
    const { confirm } = asked.values
    const form = await groupForm(asked, (group) => ({
      title: `Remove ${shortened(group.name)}`,
      content: html`<p>${people(group.members)} ${group.members === 1 ? 'loses' : 'lose'} it, and ${
        permissions(group)
      } with it immediately. This cannot be undone.</p>${
        namedNote(group, 'sign-ins will warn, and no rule lets anyone in by it')
      }`,
      ...isNamed(group)
        ? {
          fields: textField({
            name: 'confirm',
            label: 'Name of the group that is removed',
            value: confirm,
            maxLength: 300,
            hint: `Type ${group.name}`,
          }),
          confirmation: group.name,
        }
        : {},
      button: `Remove ${shortened(group.name)}; ${people(group.members)} ${group.members === 1 ? 'loses' : 'lose'} it`,
    }))
    return { ...form, next: '/admin/groups' }
  },
})

function isNamed({ rowDetails, ruleDetails }: GroupDetails): boolean {
  return rowDetails.length > 0 || rulesNaming(ruleDetails).length > 0
}

/** Rules that name the group, and not only one of its permissions. */
function rulesNaming(rules: GroupDetails['ruleDetails']): readonly string[] {
  return rules.filter(({ permission }) => permission === null).map(({ rule }) => rule)
}

/** @param what follows from it */
function namedNote(group: GroupDetails, what: string): Html {
  if (!isNamed(group)) return html``
  const { rowDetails, ruleDetails } = group
  const places = [
    ...rowDetails.map(({ row }) => rowLink(row)),
    ...rulesNaming(ruleDetails).map((rule) =>
      html`<a
href="/admin/access"><code>${rule}</code></a>`
    ),
  ]
  return note(html`The configuration names the group (${joined(places)}): ${what}.`, 'warn')
}

export function people(count: number): string {
  return `${count} ${count === 1 ? 'person' : 'people'}`
}

function permissions({ permissions: { length } }: GroupDetails): string {
  return `${length} ${length === 1 ? 'permission' : 'permissions'}`
}

/** What the administrator may do with this group. */
export function groupActs({ name, exists }: GroupDetails, { permissions: held }: AdminActor): Html {
  if (!held.has('gatehouse.policy')) return html``
  const to = (href: string, text: Html): Html => html`<li><a class="button" href="${href}">${text}</a></li>`
  const shown = nameText(shortened(name))
  const at = linkTo('groups', name)
  return html`<ul class="acts">${
    exists
      ? html`${to(`${at}/grant`, html`Give ${shown} a permission`)}${
        to(`${at}/change`, html`Rename or describe ${shown}`)
      }${to(`${at}/remove`, html`Remove ${shown}`)}`
      : to(link(addGroupPage.page.path, { name }), html`Add ${shown}`)
  }</ul>`
}
