// Images for policies of the database: the list, the form that uploads one, and the images themselves.
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import type { ImageSummary } from '../../../core/policy-image.js'
import { MOST_IMAGE_NAME } from '../../../core/policy-image.js'
import { html, type Html } from '../../pages/html.js'
import { ImageName, ImageText, MOST_UPLOAD_BYTES, putImage } from '../api/policy-images.js'
import { defineActPage } from './act-page.js'
import { emptyState, idText, note, timeText } from './components.js'
import { DRAFTS_TRAIL, who } from './drafts-page.js'
import { formField, textField } from './form-fields.js'
import { linkTo } from './links.js'
import { listCursor, PAGE_ROWS } from './list-cursor.js'
import { defineAdminPage } from './page.js'
import type { PageRoutesOptions } from './routes.js'
import { dataTable, pager, results } from './table.js'
import { parametersOf } from './values.js'

const IMAGES = '/admin/images'
const TRAIL = [DRAFTS_TRAIL, { label: 'Images', href: IMAGES }] as const
const PARAMS = Type.Object({ name: ImageName })

export const imagesPage = defineAdminPage({
  path: IMAGES,
  permission: 'gatehouse.policy',
  title: 'Images',
  query: Type.Object({ after: Type.Optional(Type.String()) }),
  async render({ query, useCases, cursors }) {
    const cursor = listCursor(cursors, 'getImages', Type.String(), query.after)
    const page = await useCases.policyImages.list({ after: cursor.after, limit: PAGE_ROWS })
    return {
      title: 'Images',
      trail: [DRAFTS_TRAIL],
      lead: html`Pictures that policies in the database name: <code>branding.logo</code>, and <code>icon</code> of an
application.`,
      content:
        html`<ul class="acts"><li><a class="button" href="${addImagePage.page.path}">Upload an image</a></li></ul>
${results(html`${imagesTable(page.rows)}${pager({ path: IMAGES, query, next: cursor.next(page) })}`)}`,
    }
  },
})

function imagesTable(rows: readonly ImageSummary[]): Html {
  return dataTable<ImageSummary>({
    caption: 'Uploaded images',
    rows,
    columns: [
      { heading: 'Name', cell: ({ name }) => idText(name) },
      { heading: 'Image', cell: ({ name }) => html`<img class="uploaded" src="${fileOf(name)}" alt="">` },
      { heading: 'Type', cell: ({ type }) => type },
      { heading: 'Bytes', cell: ({ size }) => size, kind: 'number' },
      { heading: 'Uploaded', cell: ({ at }) => timeText(at), kind: 'time' },
      { heading: 'By', cell: ({ author, authorName }) => who(author, authorName), kind: 'name' },
    ],
    empty: emptyState({
      title: 'No image was uploaded.',
      next: html`<a href="${addImagePage.page.path}">Upload one</a>, then name it in a draft of the policy.`,
    }),
  })
}

const fileOf = (name: string): string => `${linkTo('images', name)}/file`

export const addImagePage = defineActPage({
  act: putImage,
  path: '/admin/images/add',
  title: 'Upload an image',
  params: Type.Object({}),
  fields: { name: ImageName, content: ImageText },
  asks: ['name'],
  isUpload: true,
  mostBytes: MOST_UPLOAD_BYTES,
  bodyOf: ({ content }) => ({ content }),
  done: 'The image is uploaded. Name it in a draft of the policy.',
  describe: async ({ values }) => ({
    title: 'Upload an image',
    trail: TRAIL,
    content: note(
      'It never changes: other content needs another name, so that versions of the policy keep their look.',
    ),
    fields: html`${
      textField({
        name: 'name',
        label: 'Name',
        value: values['name'],
        maxLength: MOST_IMAGE_NAME,
        hint: 'As the policy names it, in lower case: contoso.png',
      })
    }${
      formField({
        name: 'content',
        label: 'File',
        hint: 'PNG, JPEG or WebP of at most 256 kB.',
        control: (attributes) =>
          html`<input${attributes} type="file" accept="image/png,image/jpeg,image/webp" required>`,
      })
    }`,
    button: 'Upload the image',
    back: IMAGES,
    next: IMAGES,
  }),
})

/** Nothing is loaded or run by what was uploaded, also where its address is opened. */
const ISOLATED = "default-src 'none'; sandbox"

export async function imageFiles(
  scope: FastifyInstance,
  { guard, useCases: { policyImages } }: Pick<PageRoutesOptions, 'guard' | 'useCases'>,
): Promise<void> {
  scope.get(`${IMAGES}/:name/file`, async (request, reply) => {
    await guard.authenticate(request, 'gatehouse.read') // guard: admin-image-permission
    const { name } = parametersOf(PARAMS, request, request.params)
    const { content, type } = await policyImages.get(name)
    return await reply.headers({
      'content-type': type,
      'cache-control': 'no-store',
      'vary': 'Cookie',
      'x-content-type-options': 'nosniff',
      'content-security-policy': ISOLATED, // guard: admin-image-isolated
    }).send(content)
  })
}
