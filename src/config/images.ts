// A picture for the pages, read and judged with the configuration: a logo or an application's icon. What it is follows
// from its first bytes, never from its name.
import { createHash } from 'node:crypto'
import type { Image } from '../core/branding.js'
import { describeFailure, type Files } from './files.js'
import { valueProblem, type ValueProblem } from './problem.js'

export const MAX_IMAGE_BYTES = 256 * 1024

export interface ImageFile extends Image {
  readonly path: string
}

export function readImage(path: string, files: Files): ImageFile | ValueProblem {
  let bytes: Buffer
  try {
    bytes = files.readBytes(path)
  } catch (error) {
    const { failure, message, remedy } = describeFailure(error)
    return valueProblem(`image_${failure}`, `is ${path}, which ${message}`, remedy)
  }
  if (bytes.length > MAX_IMAGE_BYTES) {
    return valueProblem(
      'image_large',
      `is ${path}, which is larger than 256 kB`,
      'Every page loads it: save it smaller.',
    )
  }
  const type = typeOf(bytes)
  if (type === undefined) { // guard: adv-picture-type
    return valueProblem('image_type', `is ${path}, which is no PNG, JPEG, WebP or SVG`, 'Save it as one of these.')
  }
  return { path, type, sha256: createHash('sha256').update(bytes).digest('hex'), content: () => bytes }
}

function typeOf(bytes: Buffer): Image['type'] | undefined {
  const start = bytes.toString('latin1', 0, 12)
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png'
  if (start.startsWith('\xff\xd8\xff')) return 'image/jpeg'
  if (start.startsWith('RIFF') && start.endsWith('WEBP')) return 'image/webp'
  return isSvg(bytes.toString('utf8', 0, 4_096)) ? 'image/svg+xml' : undefined
}

/** An XML declaration, a document type and comments may come first. */
function isSvg(text: string): boolean {
  return /^\uFEFF?(\s|<\?[^>]*\?>|<!--[\s\S]*?-->|<!DOCTYPE[^>[]*>)*<svg[\s>]/i.test(text)
}
