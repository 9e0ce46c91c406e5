// Answers that a browser saves as a file.
import type { FastifyReply } from 'fastify'

export interface Attachment {
  /** Of the file. */
  readonly name: string
  /** Media type, with its parameters. */
  readonly type: string
}

/** Nothing keeps the file but the browser, which does not guess another type. */
export function attachment(reply: FastifyReply, { name, type }: Attachment): FastifyReply {
  return reply.headers({
    'content-type': type,
    'content-disposition': `attachment; filename="${name}"`,
    'cache-control': 'no-store',
    'vary': 'Cookie',
    'x-content-type-options': 'nosniff',
  })
}
