// GET /groups, GET /groups/{name} and its members, and the file of all groups.
import Type from 'typebox'
import { groupVersion } from '../../../admin/acts/group-policy.js'
import { formatGroupsFile } from '../../../admin/groups-file.js'
import { defineEndpoint, defineList } from './endpoint.js'
import { Causes, MaybeText, PeopleCursorSchema } from './people-schemas.js'
import { closed, instant, nullable } from './schema.js'
import { timesInUtc } from './times.js'

const Text = Type.String()
const Permissions = Type.Array(Text)

const SUMMARY = {
  name: Text,
  description: Text,
  permissions: Permissions,
  members: Type.Integer(),
  exists: Type.Boolean({ description: 'False: the mapping or a rule names it, but there is no such group.' }),
  rows: Type.Array(Type.Integer(), { description: 'The mapping rows that grant it, counted from 1.' }),
  rules: Type.Array(Text, { description: 'The access rules that name it or one of its permissions.' }),
  isEmpty: Type.Boolean(),
  isUnused: Type.Boolean({ description: 'It has no permission, and no rule names it.' }),
}

/** The same filters as on the page. */
export const GROUP_FILTERS = {
  q: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'A part of the name or description.' })),
  empty: Type.Optional(Type.Boolean({ description: 'Whether it has no members.' })),
  unused: Type.Optional(Type.Literal(true, { type: 'boolean', description: 'No permission, and no rule names it.' })),
  missing: Type.Optional(Type.Literal(true, {
    type: 'boolean',
    description: 'Names that the mapping or a rule uses, of groups that do not exist. Not with `empty` or `unused`.',
  })),
}

export const GroupName = Type.Object({ name: Type.String({ minLength: 1, maxLength: 300 }) })
const params = GroupName

export const groups = defineList({
  path: '/groups',
  permission: 'gatehouse.read',
  summary: 'The local groups, by name',
  query: Type.Object(GROUP_FILTERS),
  item: closed(SUMMARY),
  cursor: Text,
  handle: async ({ query, page, useCases }) => await useCases.groups.list({ ...query, ...page }),
})

export const group = defineEndpoint({
  method: 'GET',
  path: '/groups/:name',
  permission: 'gatehouse.read',
  summary: 'One local group, what grants it and what it is used for',
  params,
  problems: ['group_unknown'],
  response: closed({
    ...SUMMARY,
    permissionDetails: Type.Array(closed({ permission: Text, meaning: MaybeText }), {
      description: 'What each permission allows in the console; null for permissions of applications.',
    }),
    rowDetails: Type.Array(closed({ row: Type.Integer(), entraGroup: Text, label: MaybeText })),
    ruleDetails: Type.Array(closed({
      rule: Text,
      name: MaybeText,
      enforced: Type.Boolean({ description: 'False: a shadow rule.' }),
      description: Text,
      allows: Text,
      permission: MaybeText,
    })),
  }),
  version: groupVersion,
  handle: async ({ params, useCases }) => await useCases.groups.get(params.name),
})

export const groupMembers = defineList({
  path: '/groups/:name/members',
  permission: 'gatehouse.read',
  summary: 'The members of a local group, by username',
  params,
  problems: ['group_unknown'],
  item: closed({
    id: Type.String({ format: 'uuid' }),
    username: Text,
    name: MaybeText,
    isActive: Type.Boolean(),
    cause: Causes,
    since: instant('When the membership began.'),
    until: nullable(instant('When it ends; null: it has no end of its own.')),
  }),
  cursor: PeopleCursorSchema,
  handle: async ({ params, page, useCases }) => {
    const { rows, next } = await useCases.groups.members(params.name, page)
    return { rows: timesInUtc(rows), next }
  },
})

export const exportGroups = defineEndpoint({
  method: 'GET',
  path: '/groups/export',
  permission: 'gatehouse.read',
  summary: 'All local groups, as the file that `groups apply` and `POST /groups/import` read',
  description: 'A group whose name is `export` is read with `GET /groups`.',
  response: closed({
    groups: Type.Array(closed({ name: Text, description: Text, permissions: Permissions })),
    yaml: Type.String({ description: 'The same as `gatehouse groups export` prints.' }),
  }),
  version: ({ groups }) => groups.map(groupVersion),
  handle: async ({ useCases }) => {
    const groups = await useCases.groups.all()
    return {
      groups: groups.map(({ name, description, permissions }) => ({ name, description, permissions })),
      yaml: formatGroupsFile(groups),
    }
  },
})
