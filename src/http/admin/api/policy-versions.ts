// GET /policy/versions, GET /policy/versions/{n} and GET /policy/diff.
import Type, { type Static } from 'typebox'
import type { VersionSummary } from '../../../core/policy-version.js'
import { defineEndpoint, defineList, type Answer } from './endpoint.js'
import { APPLICATION, applicationOf } from './policy-applications.js'
import { APPROVALS, approvalsOf } from './policy-approvals.js'
import { VersionNumber } from './policy-schemas.js'
import { closed, instant, nullable } from './schema.js'

const changed = (description: string) => nullable(Type.Integer({ minimum: 0, description }))

const SUMMARY = {
  number: VersionNumber,
  source: Type.Union([Type.Literal('file'), Type.Literal('database')], {
    type: 'string',
    description: 'file: a replica has loaded it from its configuration file; database: it was deployed.',
  }),
  hash: Type.String({ description: 'SHA-256 of the canonical form: JSON, keys sorted, no defaults filled in.' }),
  author: Type.String({ description: 'As in the audit record.' }),
  authorName: nullable(Type.String({ description: 'Username; null: no administrator, or the user was removed.' })),
  message: Type.String(),
  at: instant('When it was added.'),
  parent: nullable(VersionNumber),
  gains: changed('Users who gain rights by it, as counted before it was deployed; null: it was not deployed.'),
  losses: changed('Users who lose rights by it, as counted before it was deployed; null: it was not deployed.'),
  replicas: Type.Array(Type.String(), { description: 'Replicas that run it, with a heartbeat in the last minute.' }),
}

const summary = closed(SUMMARY)

function summaryOf(version: VersionSummary): Answer<Static<typeof summary>> {
  const { number, source, hash, author, authorName, message, parent, gains, losses, replicas } = version
  const at = new Date(version.at).toISOString()
  return { number, source, hash, author, authorName, message, at, parent, gains, losses, replicas }
}

export const policyVersions = defineList({
  path: '/policy/versions',
  permission: 'gatehouse.read',
  summary: 'The versions of the policy, newest first',
  item: summary,
  cursor: VersionNumber,
  async handle({ page, useCases }) {
    const { rows, next } = await useCases.policyVersions.list(page)
    return { rows: rows.map(summaryOf), next }
  },
})

export const policyVersion = defineEndpoint({
  method: 'GET',
  path: '/policy/versions/:number',
  permission: 'gatehouse.read',
  summary: 'One version of the policy',
  params: Type.Object({ number: VersionNumber }),
  problems: ['policy_version_unknown'],
  response: closed({
    ...SUMMARY,
    text: Type.String({ description: 'YAML as it was written, before variables are replaced.' }),
    schema: Type.Integer({ description: 'Which keys and values it may have.' }),
    release: Type.String({ description: 'The release of Gatehouse that added it.' }),
    findings: Type.Array(
      closed({
        path: Type.String(),
        code: Type.String(),
        message: nullable(Type.String({ description: 'Null: not kept, because the policy uses variables.' })),
      }),
      { description: 'What `gatehouse check` warned of.' },
    ),
    ...APPLICATION,
    ...APPROVALS,
  }),
  version: ({ hash }) => hash,
  async handle({ params: { number }, useCases }) {
    const { policyVersions, policyApprovals, policyApplications } = useCases
    const [version, given, application] = await Promise.all([
      policyVersions.get(number),
      policyApprovals.ofVersion(number),
      policyApplications.find(number),
    ])
    const { text, schema, release, findings } = version
    const known = { ...applicationOf(application), ...approvalsOf(given) }
    return { ...summaryOf(version), text, schema, release, findings, ...known }
  },
})

export const changeSchema = closed({
  path: Type.String({ description: 'Such as `access.default`, or `groupMapping` for a row.' }),
  before: nullable(Type.String({ description: 'JSON; null: added.' })),
  after: nullable(Type.String({ description: 'JSON; null: removed.' })),
})

export const policyDiff = defineEndpoint({
  method: 'GET',
  path: '/policy/diff',
  permission: 'gatehouse.read',
  summary: 'What differs between two versions of the policy',
  query: Type.Object({
    from: VersionNumber,
    to: Type.Optional({ ...VersionNumber, description: 'The newest without it.' }),
  }),
  problems: ['policy_version_unknown'],
  response: closed({
    from: summary,
    to: summary,
    changes: Type.Array(changeSchema, {
      description: 'What differs in meaning: neither comments nor the order of keys.',
    }),
    patch: nullable(Type.String({ description: 'Unified diff; null: the texts have too little in common.' })),
  }),
  async handle({ query: { from, to }, useCases }) {
    const diff = await useCases.policyVersions.diff(from, to)
    return {
      from: summaryOf(diff.from),
      to: summaryOf(diff.to),
      changes: diff.changes,
      patch: diff.patch ?? null,
    }
  },
})
