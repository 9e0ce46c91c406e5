// POST, PATCH and DELETE /groups, the permissions of a group, and the import of a file.
import Type from 'typebox'
import { MOST_GROUPS_FILE, parseGroupsFile } from '../../../admin/groups-file.js'
import { GatehouseError } from '../../../core/errors.js'
import { MOST_GROUP_NAME } from '../../../core/group-definitions.js'
import { defineAct } from './act.js'
import { GroupName } from './groups.js'
import { closed } from './schema.js'

/** Of a body of JSON: a character may take six bytes. */
export const MOST_IMPORT_BYTES = 6 * MOST_GROUPS_FILE + 10_000

const Text = Type.String()
const changed = Type.Boolean({ description: 'False: it was so already.' })

export const NewGroupName = Type.String({
  minLength: 1,
  maxLength: MOST_GROUP_NAME,
  description: 'Without commas, control characters, and white space at its ends: names go into headers.',
})
export const Description = Type.String({ maxLength: 1000 })
export const Word = Type.String({
  minLength: 3,
  maxLength: 200,
  pattern: '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)+$',
  description: 'Words joined by dots, such as `netbox.view`.',
})
const PERMISSION = Type.Object({ ...GroupName.properties, word: Word })
const PERMISSION_ANSWER = closed({ group: Text, permission: Text, changed })

export const addGroup = defineAct({
  method: 'POST',
  path: '/groups',
  permission: 'gatehouse.policy',
  summary: 'Add a local group',
  description: 'It has no permissions and no members: those come by the mapping, at the next sign-in.',
  stepUp: false,
  ifMatch: false,
  reason: 'none',
  byToken: true,
  body: Type.Object({ name: NewGroupName, description: Type.Optional(Description) }),
  problems: ['group_exists', 'group_name_invalid'],
  response: closed({ added: Text }),
  handle: async ({ body, useCases, acting }) => await useCases.acts.groups.add(body, acting),
})

export const changeGroup = defineAct({
  method: 'PATCH',
  path: '/groups/:name',
  permission: 'gatehouse.policy',
  summary: 'Rename or describe a local group',
  description: 'Members and permissions stay. The mapping and access rules go by the name: `mappingRows` and `rules` ' +
    'are those that name it as it was. A group with permissions of the console that the administrator does not hold ' +
    'is not given a name that the mapping grants.',
  stepUp: false,
  ifMatch: true,
  reason: 'none',
  byToken: true,
  params: GroupName,
  body: Type.Object({ name: Type.Optional(NewGroupName), description: Type.Optional(Description) }),
  problems: ['group_unknown', 'group_exists', 'group_name_invalid'],
  response: closed({
    name: Type.String({ description: 'As it is now.' }),
    changed,
    mappingRows: Type.Array(Type.Integer(), { description: 'Rows of the mapping, counted from 1.' }),
    rules: Type.Array(Text, { description: 'Access rules, such as `access.rules[2]`.' }),
  }),
  async handle({ params, body, useCases, acting }) {
    if (body.name === undefined && body.description === undefined) { // guard: act-group-change-something
      throw new GatehouseError('request_malformed', { detail: 'neither name nor description' })
    }
    return await useCases.acts.groups.change(params.name, body, acting)
  },
})

export const removeGroup = defineAct({
  method: 'DELETE',
  path: '/groups/:name',
  permission: 'gatehouse.policy',
  summary: 'Remove a local group',
  description: 'Its members lose it, and its permissions, immediately.',
  stepUp: false,
  ifMatch: true,
  reason: 'required',
  byToken: true,
  params: GroupName,
  query: Type.Object({
    force: Type.Optional(Type.Boolean({
      default: false,
      description: 'Also where a row of the mapping or an access rule names it. Not by an API token.',
    })),
  }),
  problems: ['group_unknown', 'group_mapped', 'not_by_token'],
  response: closed({ removed: Text, members: Type.Integer({ description: 'How many users were in it.' }) }),
  handle: async ({ params: { name }, query: { force = false }, useCases, acting }) =>
    await useCases.acts.groups.remove(name, { force }, acting),
})

export const grantPermission = defineAct({
  method: 'PUT',
  path: '/groups/:name/permissions/:word',
  permission: 'gatehouse.policy',
  summary: 'Give a local group a permission',
  description: 'Permissions of the console are given only by administrators who hold them.',
  stepUp: true,
  ifMatch: true,
  reason: 'none',
  byToken: false,
  params: PERMISSION,
  problems: ['group_unknown', 'permission_invalid'],
  response: PERMISSION_ANSWER,
  handle: async ({ params: { name, word }, useCases, acting }) => await useCases.acts.groups.grant(name, word, acting),
})

export const revokePermission = defineAct({
  method: 'DELETE',
  path: '/groups/:name/permissions/:word',
  permission: 'gatehouse.policy',
  summary: 'Take a permission from a local group',
  description: 'Its members lose it immediately, where no other group gives it to them.',
  stepUp: true,
  ifMatch: true,
  reason: 'required',
  byToken: false,
  params: PERMISSION,
  problems: ['group_unknown'],
  response: PERMISSION_ANSWER,
  handle: async ({ params: { name, word }, useCases, acting }) => await useCases.acts.groups.revoke(name, word, acting),
})

export const importGroups = defineAct({
  method: 'POST',
  path: '/groups/import',
  permission: 'gatehouse.policy',
  summary: 'Make local groups and their permissions as a file describes them',
  description:
    'Adds what is missing and makes descriptions and permissions as described: all of it or nothing. Groups ' +
    'that the file does not name stay. `If-Match` is the `ETag` of `GET /groups/export`. Permissions of the console ' +
    'are given only by administrators who hold them.',
  stepUp: {
    where: 'where `dryRun` is not true',
    isDue: (body) => (body as { readonly dryRun?: boolean }).dryRun !== true,
  },
  ifMatch: true,
  reason: 'required',
  byToken: false,
  mostBytes: MOST_IMPORT_BYTES,
  body: Type.Object({
    yaml: Type.String({
      minLength: 1,
      maxLength: MOST_GROUPS_FILE,
      description: 'The file, as `GET /groups/export` has it.',
      examples: ['groups: [{ name: Network Engineers, permissions: [netbox.view] }]'],
    }),
    dryRun: Type.Optional(Type.Boolean({ default: false, description: 'Only says what would change.' })),
  }),
  problems: ['file_unreadable', 'group_name_invalid', 'permission_invalid'],
  response: closed({
    dryRun: Type.Boolean(),
    changes: Type.Array(closed({
      name: Text,
      change: Type.Union([
        Type.Literal('added'),
        Type.Literal('description'),
        Type.Literal('permission granted'),
        Type.Literal('permission revoked'),
      ]),
      value: Type.Optional(Type.String({ description: 'The description or the permission.' })),
    })),
  }),
  handle: async ({ body: { yaml, dryRun = false }, useCases, acting }) =>
    await useCases.acts.groups.apply(parseGroupsFile(yaml, 'yaml'), { dryRun }, acting),
})
