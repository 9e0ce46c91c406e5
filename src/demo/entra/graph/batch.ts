// POST /$batch: up to twenty requests in one, each answered by the same routes and with its own status.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { GraphError } from './errors.js'

interface BatchItem {
  id: string
  method: string
  url: string
  headers?: Record<string, string>
  body?: unknown
}

const MAX_ITEMS = 20

function readItems(body: unknown): BatchItem[] {
  const items = (body as { requests?: unknown } | null)?.requests
  if (!Array.isArray(items) || items.length === 0) {
    throw new GraphError(400, 'BadRequest', 'Invalid batch payload format.')
  }
  if (items.length > MAX_ITEMS) {
    throw new GraphError(
      400,
      'MaximumValueExceeded',
      `Number of batch request steps exceeds the maximum value of ${MAX_ITEMS}.`,
    )
  }
  const valid = items.every((item: Partial<BatchItem> | null) =>
    typeof item?.id === 'string' && typeof item.method === 'string' && typeof item.url === 'string' &&
    item.url.startsWith('/')
  )
  if (!valid || new Set(items.map((item: BatchItem) => item.id)).size !== items.length) {
    throw new GraphError(400, 'BadRequest', 'Invalid batch payload format.')
  }
  return items
}

export async function answerBatch(http: FastifyInstance, request: FastifyRequest) {
  const { authorization } = request.headers
  const responses = await Promise.all(
    readItems(request.body).map(async (item) => {
      const answer = await http.inject({
        method: item.method as 'GET',
        url: `/v1.0${item.url}`,
        headers: { ...item.headers, ...(authorization !== undefined && { authorization }) },
        ...(item.body !== undefined && { payload: item.body as object }),
      })
      const retryAfter = answer.headers['retry-after']
      return {
        id: item.id,
        status: answer.statusCode,
        headers: {
          'Content-Type': 'application/json',
          ...(retryAfter !== undefined && { 'Retry-After': String(retryAfter) }),
        },
        body: parsed(answer.body),
      }
    }),
  )
  return { responses }
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return body
  }
}
