// Tests a request of somebody against the policy in force. A POST, because addresses and object IDs are long, and an
// address of the API belongs into no log; it changes nothing.
import Type from 'typebox'
import { defineEndpoint } from './endpoint.js'
import { closed, nullable } from './schema.js'

const rules = Type.Array(Type.String({ examples: ['access.rules[2]'] }))

export const policyTest = defineEndpoint({
  method: 'POST',
  changesNothing: true,
  path: '/policy/test',
  permission: 'gatehouse.read',
  summary: 'The decision about a request, and why',
  description: 'Of a user, of anyone with given Entra groups, or without a sign-in. Changes nothing.',
  body: Type.Object({
    url: Type.String({ maxLength: 8_000, examples: ['https://netbox.example.com/dcim/'] }),
    method: Type.Optional(Type.String({ maxLength: 40, default: 'GET' })),
    user: Type.Optional(Type.String({ maxLength: 400, description: 'Username, UPN, e-mail address or id.' })),
    entraGroups: Type.Optional(Type.Array(Type.String(), {
      maxItems: 1_000,
      description: 'Object IDs, in place of a user: what a sign-in with them would give.',
    })),
    address: Type.Optional(
      Type.String({ maxLength: 100, description: 'The client address, for rules with networks.' }),
    ),
  }),
  problems: ['target_malformed', 'user_unknown', 'user_ambiguous', 'object_id_invalid'],
  response: closed({
    allowed: Type.Boolean(),
    allowedWithoutPort: Type.Boolean({ description: 'The decision if the proxy does not send the port.' }),
    reason: nullable(Type.String({ enum: ['not_signed_in', 'not_allowed'] })),
    rule: Type.String({ description: 'Decides.', examples: ['access.rules[2]'] }),
    name: nullable(Type.String({ description: 'Of the rule.' })),
    method: Type.String(),
    user: nullable(Type.String({ description: 'Username; null: the request is anonymous.' })),
    inactive: Type.Boolean({ description: 'The user is deactivated: the request counts as anonymous.' }),
    rules: Type.Array(
      closed({
        rule: Type.String(),
        name: nullable(Type.String()),
        allows: Type.String({ description: 'Whom it lets in, in words.' }),
        lets: Type.Boolean(),
        because: Type.String(),
      }),
      { description: 'Every rule that must let the request in.' },
    ),
    interpretations: Type.Array(closed({
      path: nullable(Type.String({ description: 'Null: any path is possible.' })),
      port: nullable(Type.String({ description: 'Null: every port; empty: one that no rule names.' })),
      rules,
    })),
    shadowRules: Type.Array(
      closed({
        rule: Type.String(),
        name: nullable(Type.String()),
        allows: Type.String({ description: 'Whom it lets in, in words.' }),
        would: Type.String({ enum: ['allowed', 'not_signed_in', 'not_allowed'] }),
        differs: Type.Boolean({ description: 'The answer would be another one if the rule were enforced.' }),
      }),
      { description: 'Shadow rules that would decide if they were enforced.' },
    ),
    headers: nullable(Type.Array(closed({ name: Type.String(), value: Type.String() }), {
      description: 'For the application, without the assertion; null: it gets no request, or they are too large.',
    })),
    notes: Type.Array(Type.String({ enum: ['address_needed', 'address_unreadable', 'method_unknown'] })),
  }),
  async handle({ body: { method = 'GET', ...input }, useCases }) {
    const result = await useCases.accessTest.test({ method, ...input })
    const { decision, headers } = result
    return {
      allowed: decision.allow,
      allowedWithoutPort: result.withoutPort.allow,
      reason: decision.allow ? null : decision.reason,
      rule: decision.grounds.path,
      name: decision.grounds.name ?? null,
      method: result.target.method,
      user: result.user?.username ?? null,
      inactive: result.inactive,
      rules: result.rules.map(({ path, ...rule }) => ({ rule: path, ...rule })),
      interpretations: result.interpretations.map(({ path = null, port = null, rules }) => ({
        path,
        port,
        rules: rules.map((each) => each.path),
      })),
      shadowRules: result.shadowRules.map(({ path, ...shadow }) => ({ rule: path, ...shadow })),
      headers: headers !== undefined && 'pairs' in headers
        ? headers.pairs.map(([name, value]) => ({ name, value }))
        : null,
      notes: result.notes,
    }
  },
})
