// Splits a stream that another process writes into lines, in bounded memory.
import type { Readable } from 'node:stream'

/**
 * @param maxLength of a line, in characters; the rest of a longer line is dropped
 * @param onTooLong is called in place of `onLine` for a longer line; without it `onLine` gets the beginning
 */
export function readLines(
  stream: Readable,
  maxLength: number,
  onLine: (text: string) => void,
  onTooLong?: () => void,
): void {
  let rest = ''
  let skipping = false
  const end = (text: string): void => {
    if (!skipping) onLine(text)
    skipping = false
  }
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const [first = '', ...more] = chunk.split('\n')
    rest = skipping ? '' : rest + first
    for (const next of more) {
      end(rest.slice(0, maxLength))
      rest = next
    }
    if (rest.length <= maxLength) return // guard: adv-step-output
    if (onTooLong) onTooLong()
    else onLine(rest.slice(0, maxLength))
    rest = ''
    skipping = true
  })
  stream.on('end', () => {
    if (rest !== '') end(rest)
  })
  stream.on('error', () => {})
}
