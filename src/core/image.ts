// Pictures on the pages: a logo, or the icon of an application.

export interface Image {
  /** 64 hex characters. */
  readonly sha256: string
  readonly type: 'image/png' | 'image/jpeg' | 'image/webp' | 'image/svg+xml'
  /** A function, so that bytes are neither compared nor logged: the hash stands for them. */
  content(): Buffer
}

export const MOST_IMAGE_BYTES = 256 * 1024

/** By the first bytes, never by a name. @returns undefined: it is none of these */
export function imageTypeOf(bytes: Buffer): Image['type'] | undefined {
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
