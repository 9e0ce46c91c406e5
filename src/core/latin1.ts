// Text of request headers in Node: each character is one byte, and the string is often a slice of a longer one.

/** A slice would keep the whole header in memory, including other applications' cookies. */
export function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

/** Clients that do not percent-encode send UTF-8. */
export function isUtf8(text: string): boolean {
  if (!/[\x80-\xff]/.test(text)) return true
  const bytes = Buffer.from(text, 'latin1')
  return Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes)
}
