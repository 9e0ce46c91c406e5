// A picture for the pages, read and judged with the configuration: a logo or an application's icon. What it is follows
// from its first bytes, never from its name.
import { createHash } from 'node:crypto'
import { imageTypeOf, MOST_IMAGE_BYTES, type Image } from '../core/image.js'
import { describeFailure, type Files } from './files.js'
import { valueProblem, type ValueProblem } from './problem.js'

export interface ImageFile extends Image {
  readonly path: string
}

/** With its content in place of the function that reads it: for other processes and threads. */
export type ImageBytes = Omit<ImageFile, 'content'> & { readonly bytes: Uint8Array }

export function withBytes({ content, ...image }: ImageFile): ImageBytes {
  return { ...image, bytes: content() }
}

export function withContent({ bytes, ...image }: ImageBytes): ImageFile {
  const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return { ...image, content: () => content }
}

export function readImage(path: string, files: Files): ImageFile | ValueProblem {
  let bytes: Buffer
  try {
    bytes = files.readBytes(path)
  } catch (error) {
    const { failure, message, remedy } = describeFailure(error)
    return valueProblem(`image_${failure}`, `is ${path}, which ${message}`, remedy)
  }
  if (bytes.length > MOST_IMAGE_BYTES) {
    return valueProblem(
      'image_large',
      `is ${path}, which is larger than 256 kB`,
      'Every page loads it: save it smaller.',
    )
  }
  const type = imageTypeOf(bytes)
  if (type === undefined) { // guard: adv-picture-type
    return valueProblem('image_type', `is ${path}, which is no PNG, JPEG, WebP or SVG`, 'Save it as one of these.')
  }
  return { path, type, sha256: createHash('sha256').update(bytes).digest('hex'), content: () => bytes }
}
