// Forms with files (RFC 7578). Each text is a field, and each file too, in Base64.
import type { FastifyInstance } from 'fastify'
import { Response } from 'undici'
import { GatehouseError } from '../../../core/errors.js'

type Fields = Record<string, string | string[]>

export function acceptUploads(routes: FastifyInstance): void {
  routes.addContentTypeParser(
    'multipart/form-data',
    { parseAs: 'buffer' },
    async (request: { readonly headers: { readonly 'content-type'?: string | undefined } }, body: Buffer) =>
      await fieldsOf(body, request.headers['content-type'] ?? ''),
  )
}

/** @throws GatehouseError `request_malformed` */
async function fieldsOf(body: Buffer, type: string): Promise<Fields> {
  const fields: Fields = Object.create(null)
  for (const [name, value] of await parts(body, type)) {
    const text = typeof value === 'string' ? value : Buffer.from(await value.arrayBuffer()).toString('base64')
    const known = fields[name]
    fields[name] = known === undefined ? text : [known, text].flat() // a field that is given twice is refused later
  }
  return fields
}

async function parts(body: Buffer, type: string) {
  try {
    return await new Response(body, { headers: { 'content-type': type } }).formData()
  } catch {
    throw new GatehouseError('request_malformed', { detail: 'the form cannot be read as multipart/form-data' })
  }
}
