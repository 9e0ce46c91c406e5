// Compares secrets in a time that does not depend on how many characters are equal.
import { timingSafeEqual } from 'node:crypto'

export function equalInConstantTime(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
