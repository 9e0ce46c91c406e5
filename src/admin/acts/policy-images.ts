// Adds images for policies of the database. An image never changes and is never removed, so no policy that names it
// looks otherwise later, or fails to load. It is shown to users only where a deployed policy names it.
import { createHash } from 'node:crypto'
import type { Acting, ActTransaction } from '../../core/acts.js'
import { GatehouseError } from '../../core/errors.js'
import { imageTypeOf, MOST_IMAGE_BYTES, type Image } from '../../core/image.js'
import { IMAGE_NAME, MOST_IMAGE_NAME, MOST_IMAGES } from '../../core/policy-image.js'
import { perform } from './perform.js'

export interface AddedImage {
  readonly name: string
  readonly type: Image['type']
  readonly sha256: string
  /** Bytes. */
  readonly size: number
  /** False: it was there already. */
  readonly changed: boolean
}

export interface ImageActs {
  /**
   * @throws GatehouseError `policy_image_unusable`, `policy_image_exists`, `policy_images_full`, `request_malformed`
   */
  add(name: string, content: Buffer, acting: Acting): Promise<AddedImage>
}

const RULES = { permission: 'gatehouse.policy', inTurn: false } as const

export function createImageActs(transaction: ActTransaction): ImageActs {
  return {
    async add(name, content, acting) {
      requireName(name)
      const type = requireUsable(content)
      const sha256 = createHash('sha256').update(content).digest('hex')
      const image = { name, type, sha256, size: content.length }
      return await perform(transaction, acting, RULES, async ({ unit: { images }, record }) => {
        const known = await images.sha256Of(name)
        if (known === sha256) return { ...image, changed: false }
        if (known !== undefined) { // guard: policy-image-immutable
          throw new GatehouseError('policy_image_exists', {
            detail: `the image ${name} has other content`,
            remedy: 'An uploaded image never changes, so that versions of the policy keep their look.',
          })
        }
        if (!await images.add({ ...image, content, author: acting.actor })) {
          throw new GatehouseError('policy_images_full', { detail: `there are ${MOST_IMAGES} images already` })
        }
        await record({ action: 'policy.image.add', before: null, after: image, detail: {} })
        return { ...image, changed: true }
      })
    },
  }
}

function requireName(name: string): void {
  if (name.length <= MOST_IMAGE_NAME && new RegExp(IMAGE_NAME).test(name)) return // guard: policy-image-name
  throw new GatehouseError('request_malformed', {
    sentence: 'The name of an image has lower-case letters, digits, dots, hyphens and underscores alone.',
    detail: 'the name of an image has lower-case letters, digits, dots, hyphens and underscores alone',
    remedy: 'Give it another name: --name contoso.png',
  })
}

/** No SVG: it could contain scripts. */
function requireUsable(content: Buffer): Image['type'] {
  const type = content.length > MOST_IMAGE_BYTES ? undefined : imageTypeOf(content)
  if (type !== undefined && type !== 'image/svg+xml') return type // guard: policy-image-type
  throw new GatehouseError('policy_image_unusable', { remedy: 'Save it smaller, or in one of these formats.' })
}
