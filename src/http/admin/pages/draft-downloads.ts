// A draft of the policy as a file: `/admin/drafts/{id}/policy.yaml`, and its patch against the version that it began
// from, with all comments.
import type { FastifyInstance } from 'fastify'
import { GatehouseError } from '../../../core/errors.js'
import { attachment } from '../attachment.js'
import { DRAFTS } from './draft-link.js'
import { DRAFT_PARAMS } from './drafts-page.js'
import type { PageRoutesOptions } from './routes.js'
import { parametersOf } from './values.js'

export async function draftDownloads(
  scope: FastifyInstance,
  { guard, useCases: { policyDrafts } }: Pick<PageRoutesOptions, 'guard' | 'useCases'>,
): Promise<void> {
  scope.get(`${DRAFTS}/:id/policy.yaml`, async (request, reply) => {
    await guard.authenticate(request, 'gatehouse.policy') // guard: policy-draft-file-permission
    const { text } = await policyDrafts.get(parametersOf(DRAFT_PARAMS, request, request.params).id)
    const type = 'application/yaml; charset=utf-8'
    return await attachment(reply, { name: 'policy.yaml', type }).send(text)
  })
  scope.get(`${DRAFTS}/:id/policy.patch`, async (request, reply) => {
    await guard.authenticate(request, 'gatehouse.policy') // guard: policy-draft-patch-permission
    const { patch } = await policyDrafts.diff(parametersOf(DRAFT_PARAMS, request, request.params).id, 'base')
    if (patch === undefined) throw new GatehouseError('policy_versions_differ')
    return await attachment(reply, { name: 'policy.patch', type: 'text/plain; charset=utf-8' }).send(patch)
  })
}
