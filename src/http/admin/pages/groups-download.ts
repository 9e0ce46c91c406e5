// GET /admin/groups.yaml: the file of all local groups, as `gatehouse groups export` prints it.
import type { FastifyInstance } from 'fastify'
import { formatGroupsFile } from '../../../admin/groups-file.js'
import { attachment } from '../attachment.js'
import { GROUPS_FILE } from './group-import.js'
import type { PageRoutesOptions } from './routes.js'

export async function groupsDownload(
  scope: FastifyInstance,
  { guard, useCases }: Pick<PageRoutesOptions, 'guard' | 'useCases'>,
): Promise<void> {
  scope.get(GROUPS_FILE, async (request, reply) => {
    await guard.authenticate(request, 'gatehouse.read') // guard: admin-groups-file-permission
    const file = formatGroupsFile(await useCases.groups.all())
    return attachment(reply, { name: 'groups.yaml', type: 'application/yaml; charset=utf-8' }).send(file)
  })
}
