// GET /images, and GET and PUT /images/{name}: pictures for policies of the database.
import Type, { type Static } from 'typebox'
import { MOST_IMAGE_BYTES } from '../../../core/image.js'
import { IMAGE_NAME, MOST_IMAGE_NAME, type ImageSummary } from '../../../core/policy-image.js'
import { defineAct } from './act.js'
import { defineEndpoint, defineList, type Answer } from './endpoint.js'
import { closed, instant, nullable } from './schema.js'

/** Of a request: an image that is somewhat too large is refused with its reason, and a huge one is not read. */
export const MOST_UPLOAD_BYTES = 8 * MOST_IMAGE_BYTES

export const ImageName = Type.String({
  minLength: 1,
  maxLength: MOST_IMAGE_NAME,
  pattern: IMAGE_NAME,
  description: 'As the policy names it.',
  examples: ['contoso.png'],
})
export const ImageText = Type.String({
  pattern: '^[A-Za-z0-9+/]*={0,2}$',
  description: 'PNG, JPEG or WebP of at most 256 kB, in Base64 (RFC 4648).',
})
const IMAGE = {
  name: ImageName,
  type: Type.String({ description: 'Media type, by the first bytes.' }),
  sha256: Type.String({ description: '64 hex characters.' }),
  size: Type.Integer({ description: 'Bytes.' }),
}
const SUMMARY = {
  ...IMAGE,
  author: Type.String({ description: 'As in the audit record.' }),
  authorName: nullable(Type.String({ description: 'Username; null: a command, or the user was removed.' })),
  at: instant('When it was uploaded.'),
}
const summary = closed(SUMMARY)

function summaryOf({ name, type, sha256, size, author, authorName, at }: ImageSummary): Answer<Static<typeof summary>> {
  return { name, type, sha256, size, author, authorName, at: new Date(at).toISOString() }
}

export const images = defineList({
  path: '/images',
  permission: 'gatehouse.read',
  summary: 'The images that were uploaded for policies of the database, by name',
  item: summary,
  cursor: Type.String(),
  async handle({ page, useCases }) {
    const { rows, next } = await useCases.policyImages.list(page)
    return { rows: rows.map(summaryOf), next }
  },
})

export const image = defineEndpoint({
  method: 'GET',
  path: '/images/:name',
  permission: 'gatehouse.read',
  summary: 'One uploaded image',
  params: Type.Object({ name: ImageName }),
  problems: ['policy_image_unknown'],
  response: closed({ ...SUMMARY, content: ImageText }),
  version: ({ sha256 }) => sha256,
  async handle({ params: { name }, useCases }) {
    const found = await useCases.policyImages.get(name)
    return { ...summaryOf(found), content: found.content.toString('base64') }
  },
})

export const putImage = defineAct({
  method: 'PUT',
  path: '/images/:name',
  permission: 'gatehouse.policy',
  summary: 'Upload an image for policies of the database',
  description: 'An uploaded image never changes: other content needs another name.',
  stepUp: false,
  ifMatch: false,
  reason: 'none',
  byToken: true,
  mostBytes: MOST_UPLOAD_BYTES,
  params: Type.Object({ name: ImageName }),
  body: Type.Object({ content: ImageText }),
  problems: ['policy_image_unusable', 'policy_image_exists', 'policy_images_full'],
  response: closed({ ...IMAGE, changed: Type.Boolean({ description: 'False: it was there already.' }) }),
  handle: async ({ params: { name }, body: { content }, useCases, acting }) =>
    await useCases.acts.images.add(name, Buffer.from(content, 'base64'), acting),
})
