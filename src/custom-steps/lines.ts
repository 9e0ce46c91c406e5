// Lines of a stream that somebody else writes, in bounded memory.
import type { Readable } from 'node:stream'

/** @param tooLong is told of a line above the limit, whose rest is left out; without it the beginning is passed on */
export function readLines(stream: Readable, most: number, line: (text: string) => void, tooLong?: () => void): void {
  let rest = ''
  let skipping = false
  const end = (text: string): void => {
    if (!skipping) line(text)
    skipping = false
  }
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const [first = '', ...more] = chunk.split('\n')
    rest = skipping ? '' : rest + first
    for (const next of more) {
      end(rest.slice(0, most))
      rest = next
    }
    if (rest.length <= most) return // guard: adv-step-output
    if (tooLong) tooLong()
    else line(rest.slice(0, most))
    rest = ''
    skipping = true
  })
  stream.on('end', () => {
    if (rest !== '') end(rest)
  })
  stream.on('error', () => {})
}
