// Comparing what an attacker may guess at, in a time that does not tell how much of it was right.
import { timingSafeEqual } from 'node:crypto'

export function equalInConstantTime(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
