// Images that were uploaded for policies of the database, for the console, its API and the commands.
// acts/policy-images.ts adds them.
import { GatehouseError } from '../core/errors.js'
import type { Page, PageRequest } from '../core/page.js'
import type { ImageSummary, PolicyImages, UploadedImage } from '../core/policy-image.js'
import { checkText } from './text.js'

export interface PolicyImagesAdmin {
  /** By name. */
  list(page: PageRequest<string>): Promise<Page<ImageSummary, string>>
  /** @throws GatehouseError `policy_image_unknown` */
  get(name: string): Promise<UploadedImage>
}

export function createPolicyImagesAdmin(images: PolicyImages): PolicyImagesAdmin {
  return {
    list: (page) => images.list(page),
    async get(name) {
      checkText(name)
      const image = await images.get(name)
      if (image === undefined) throw new GatehouseError('policy_image_unknown', { detail: `there is no image ${name}` })
      return image
    },
  }
}
