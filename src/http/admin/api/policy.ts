// The policy in force: the mapping and the access rules, without anything of the configuration that is secret.
import Type, { type Static } from 'typebox'
import type { RuleView } from '../../../admin/access.js'
import type { MappingRowView } from '../../../admin/mapping.js'
import type { Allow } from '../../../core/access.js'
import { defineEndpoint, type Answer } from './endpoint.js'
import { closed, instant, nullable } from './schema.js'

const texts = (description: string) => Type.Array(Type.String(), { description })
const count = (description: string) => Type.Integer({ minimum: 0, description })

const row = closed({
  row: Type.Integer({ minimum: 1, description: 'Counted from 1.' }),
  entraGroup: Type.String({ description: 'Object ID of the Entra group, or the variable that holds it.' }),
  label: nullable(Type.String({ description: 'What people read instead of the object ID.' })),
  groups: Type.Array(
    closed({
      name: Type.String(),
      exists: Type.Boolean({ description: 'Sign-ins skip local groups that do not exist.' }),
    }),
    { description: 'Local groups.' },
  ),
  isStaff: Type.Boolean({ description: 'Grants the flag staff.' }),
  isSuperuser: Type.Boolean({ description: 'Grants the flag superuser.' }),
  users: nullable(count('Active users in the Entra group by their last snapshots; null: being counted.')),
})

const allow = closed({
  words: Type.String({ description: 'Whom the rule lets in, as a phrase.' }),
  everybody: nullable(Type.Union([Type.Literal('anyone'), Type.Literal('authenticated'), Type.Literal('deny')], {
    description: 'Null: any one of the following is sufficient.',
    type: 'string',
  })),
  groups: texts('Members of any of these local groups.'),
  permissions: texts('Holders of any of these permissions.'),
  isStaff: Type.Boolean({ description: 'Staff.' }),
  isSuperuser: Type.Boolean({ description: 'Superusers: they pass every rule, named or not.' }),
})

const windows = {
  day: count('In the last 24 hours.'),
  week: count('In the last 7 days.'),
  month: count('In the last 30 days.'),
}

const rule = closed({
  rule: Type.String({ examples: ['access.rules[2]'] }),
  name: nullable(Type.String({ description: 'What refusals and the log show in place of the key.' })),
  enforced: Type.Boolean({ description: 'False: a shadow rule, which decides nothing.' }),
  hosts: nullable(texts('Null: every host.')),
  methods: nullable(texts('Null: every method.')),
  paths: nullable(texts('Null: every path.')),
  networks: nullable(texts('Null: every client address.')),
  allow,
  findings: Type.Array(
    closed({
      path: Type.String(),
      code: Type.String(),
      message: Type.String(),
      remedy: nullable(Type.String()),
    }),
    { description: 'What `gatehouse check` warns of.' },
  ),
  hits: nullable(closed({
    ...windows,
    lastHit: nullable(instant('Null: none in 30 days.')),
  }, 'Requests that this rule decided, or would have if it were enforced; null: not counted here.')),
  dead: Type.Boolean({ description: 'No hit in 30 days, and counted for as long.' }),
  wouldHave: nullable(closed({
    refused: closed(windows, 'Requests that were let in.'),
    letIn: closed(windows, 'Requests that were refused.'),
  }, 'What a shadow rule would have changed; null: not one, or not counted here.')),
})

export const policy = defineEndpoint({
  method: 'GET',
  path: '/policy',
  permission: 'gatehouse.read',
  summary: 'The policy in force',
  description: 'Of the configuration only the mapping and the access rules, as this replica applies them.',
  response: closed({
    hash: Type.String({ description: 'Of the configuration in force; replicas compare it.' }),
    countedAt: nullable(instant('When the users of the rows were counted; null: they are being counted.')),
    mapping: Type.Array(row),
    access: closed({ rules: Type.Array(rule), default: rule }),
  }),
  version: ({ hash }) => hash,
  async handle({ useCases }) {
    const { hash, countedAt, mapping, rules, byDefault } = await useCases.policy.inForce()
    return {
      hash,
      countedAt: countedAt?.toISOString() ?? null,
      mapping: mapping.map(rowOf),
      access: { rules: rules.map(ruleOf), default: ruleOf(byDefault) },
    }
  },
})

function rowOf({ groups, position: _, ...others }: MappingRowView): Answer<Static<typeof row>> {
  return { ...others, groups: groups.map(({ name, exists }) => ({ name, exists })) }
}

function ruleOf(
  { hits, findings, allow, allows, wouldHave, position: _, ...others }: RuleView,
): Answer<Static<typeof rule>> {
  return {
    ...others,
    allow: allowOf(allow, allows),
    findings: findings.map(({ remedy, ...finding }) => ({ ...finding, remedy: remedy ?? null })),
    hits: hits === undefined ? null : { ...hits, lastHit: hits.lastHit?.toISOString() ?? null },
    wouldHave: wouldHave ?? null,
  }
}

function allowOf(given: Allow, words: string): Answer<Static<typeof allow>> {
  if (typeof given === 'string') {
    return { words, everybody: given, groups: [], permissions: [], isStaff: false, isSuperuser: false }
  }
  const { groups, permissions, staff = false, superuser = false } = given
  return { words, everybody: null, groups, permissions, isStaff: staff, isSuperuser: superuser }
}
