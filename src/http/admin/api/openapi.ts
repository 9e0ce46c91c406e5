// The OpenAPI document of the gateway that is asked, so that programs need no file of the same release.
import { defineEndpoint, type Endpoint } from './endpoint.js'
import { openRecord } from './schema.js'

export function openapi(document: () => Record<string, unknown>): Endpoint {
  return defineEndpoint({
    method: 'GET',
    path: '/openapi.json',
    permission: 'gatehouse.read',
    summary: 'The OpenAPI document of this API',
    response: openRecord('An OpenAPI 3.1 document.'),
    handle: document,
  })
}
