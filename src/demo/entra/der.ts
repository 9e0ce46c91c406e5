// The few DER forms an X.509 certificate needs (X.690): node:crypto reads certificates but cannot write them.

const tlv = (tag: number, ...parts: Uint8Array[]) => {
  const body = Buffer.concat(parts)
  if (body.length < 0x80) return Buffer.concat([Buffer.of(tag, body.length), body])
  const hex = body.length.toString(16)
  const length = Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex')
  return Buffer.concat([Buffer.of(tag, 0x80 | length.length), length, body])
}

export const sequence = (...parts: Uint8Array[]) => tlv(0x30, ...parts)
export const set = (...parts: Uint8Array[]) => tlv(0x31, ...parts)
export const utf8 = (text: string) => tlv(0x0c, Buffer.from(text))
export const octets = (content: Uint8Array) => tlv(0x04, content)
export const bits = (content: Uint8Array, unused = 0) => tlv(0x03, Buffer.of(unused), content)
export const boolean = (value: boolean) => tlv(0x01, Buffer.of(value ? 0xff : 0))
export const nothing = () => tlv(0x05)
/** [n] EXPLICIT around an element. */
export const tagged = (n: number, element: Uint8Array) => tlv(0xa0 | n, element)
/** [n] IMPLICIT on a primitive. */
export const replaced = (n: number, content: Uint8Array) => tlv(0x80 | n, content)

/** A non-negative INTEGER from its big-endian bytes. */
export const integer = (bytes: Uint8Array) => {
  const zeros = bytes.findIndex((byte) => byte !== 0)
  const short = zeros === -1 ? Buffer.of(0) : bytes.subarray(zeros)
  return tlv(0x02, (short[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.of(0), short]) : short)
}

/** GeneralizedTime, which RFC 5280 wants from 2050 on and every verifier takes before; UTCTime until then. */
export const time = (at: Date) => {
  const digits = at.toISOString().replace(/[-:T]|\.\d+/g, '')
  return at.getUTCFullYear() < 2050 ? tlv(0x17, Buffer.from(digits.slice(2))) : tlv(0x18, Buffer.from(digits))
}

export const oid = (dotted: string) => {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const arc of rest) {
    const groups = [arc & 0x7f]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return tlv(0x06, Buffer.from(bytes))
}
