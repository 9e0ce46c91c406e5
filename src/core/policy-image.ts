// Images that were uploaded for policies of the database: the logo, and the icons of applications. An image never
// changes, so a version of the policy that names it always has the same look. store/policy-images.ts keeps them.
import type { Image } from './image.js'
import type { Page, PageRequest } from './page.js'

/** In all; each has at most MOST_IMAGE_BYTES. */
export const MOST_IMAGES = 100
export const MOST_IMAGE_NAME = 100
/** Lower case, so that no two names differ in case alone. */
export const IMAGE_NAME = '^[a-z0-9][a-z0-9._-]*$'

export interface ImageSummary {
  readonly name: string
  readonly type: Image['type']
  /** 64 hex characters. */
  readonly sha256: string
  /** Bytes. */
  readonly size: number
  /** As in the audit record: `admin:<user id>`. */
  readonly author: string
  /** Name of the author; null: a command, or a user who was removed. */
  readonly authorName: string | null
  /** ISO 8601. */
  readonly at: string
}

export interface UploadedImage extends ImageSummary {
  readonly content: Buffer
}

export interface PolicyImages {
  /** By name, after which the next page begins. */
  list(page: PageRequest<string>): Promise<Page<ImageSummary, string>>
  /** Undefined: there is none of this name. */
  get(name: string): Promise<UploadedImage | undefined>
  /** Those whose names this text contains, and so at least those that it names as a policy. */
  namedIn(text: string): Promise<readonly NamedImage[]>
}

export interface NamedImage extends Image {
  readonly name: string
}

export interface NewImage {
  readonly name: string
  readonly type: Image['type']
  readonly sha256: string
  readonly content: Buffer
  readonly author: string
}

/** What acts on images read and change. */
export interface ImagesUnit {
  /** Waits until no other image is being added. @returns SHA-256 of the image of this name; undefined: there is none */
  sha256Of(name: string): Promise<string | undefined>
  /** @returns false: there are MOST_IMAGES already */
  add(image: NewImage): Promise<boolean>
}
