// Text of request headers as Node has it: a byte a character, often a part of a longer string.

/** By itself. A part of a header would keep the whole header in memory, other applications' cookies included. */
export function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

/** Clients that do not percent-encode send UTF-8. */
export function isUtf8(text: string): boolean {
  if (!/[\x80-\xff]/.test(text)) return true
  const bytes = Buffer.from(text, 'latin1')
  return Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes)
}
