// Versions of the policy as files: `/admin/versions/{number}/policy.yaml`, and the patch between two of them.
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { GatehouseError } from '../../../core/errors.js'
import { attachment } from '../attachment.js'
import { VersionNumber } from '../api/policy-schemas.js'
import type { PageRoutesOptions } from './routes.js'
import { parametersOf } from './values.js'

const PARAMS = Type.Object({ number: VersionNumber })
const QUERY = Type.Object({ from: VersionNumber, to: Type.Optional(VersionNumber) })

export async function versionDownloads(
  scope: FastifyInstance,
  { guard, useCases: { policyVersions } }: Pick<PageRoutesOptions, 'guard' | 'useCases'>,
): Promise<void> {
  scope.get('/admin/versions/:number/policy.yaml', async (request, reply) => {
    await guard.authenticate(request, 'gatehouse.read') // guard: admin-version-file-permission
    const { number } = parametersOf(PARAMS, request, request.params)
    const { text } = await policyVersions.get(number)
    const type = 'application/yaml; charset=utf-8'
    return await attachment(reply, { name: `policy-${number}.yaml`, type }).send(text)
  })
  scope.get('/admin/versions/diff.patch', async (request, reply) => {
    await guard.authenticate(request, 'gatehouse.read') // guard: admin-version-patch-permission
    const { from, to } = parametersOf(QUERY, request, request.query)
    const diff = await policyVersions.diff(from, to)
    if (diff.patch === undefined) throw new GatehouseError('policy_versions_differ')
    const name = `policy-${diff.from.number}-${diff.to.number}.patch`
    return await attachment(reply, { name, type: 'text/plain; charset=utf-8' }).send(diff.patch)
  })
}
