// Versions of the policy as files: `/admin/versions/{number}/policy.yaml`, and the patch between two of them.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type, { type Static, type TObject } from 'typebox'
import { GatehouseError } from '../../../core/errors.js'
import { VersionNumber } from '../api/policy-versions.js'
import type { PageRoutesOptions } from './routes.js'
import { valuesOf, type Validate } from './values.js'

const PARAMS = Type.Object({ number: VersionNumber })
const QUERY = Type.Object({ from: VersionNumber, to: Type.Optional(VersionNumber) })

export async function versionDownloads(
  scope: FastifyInstance,
  { guard, useCases: { policyVersions } }: Pick<PageRoutesOptions, 'guard' | 'useCases'>,
): Promise<void> {
  scope.get('/admin/versions/:number/policy.yaml', async (request, reply) => {
    await guard.authenticate(request, 'gatehouse.read') // guard: admin-version-file-permission
    const { number } = given(PARAMS, request, request.params)
    const { text } = await policyVersions.get(number)
    return await send(reply, text, { name: `policy-${number}.yaml`, type: 'application/yaml' })
  })
  scope.get('/admin/versions/diff.patch', async (request, reply) => {
    await guard.authenticate(request, 'gatehouse.read') // guard: admin-version-patch-permission
    const { from, to } = given(QUERY, request, request.query)
    const diff = await policyVersions.diff(from, to)
    if (diff.patch === undefined) throw new GatehouseError('policy_versions_differ')
    const name = `policy-${diff.from.number}-${diff.to.number}.patch`
    return await send(reply, diff.patch, { name, type: 'text/plain' })
  })
}

function given<Schema extends TObject>(schema: Schema, request: FastifyRequest, values: unknown): Static<Schema> {
  const validate = request.compileValidationSchema(schema) as Validate
  return valuesOf(schema, values, validate, 'request_malformed') as Static<Schema>
}

async function send(
  reply: FastifyReply,
  text: string,
  { name, type }: { readonly name: string, readonly type: string },
): Promise<FastifyReply> {
  return await reply.headers({
    'content-type': `${type}; charset=utf-8`,
    'content-disposition': `attachment; filename="${name}"`,
    'cache-control': 'no-store',
    'vary': 'Cookie',
    'x-content-type-options': 'nosniff',
  }).send(text)
}
