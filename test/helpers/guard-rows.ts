// The last two cells of a row in docs/parity.md and docs/advisories.md, proof and guard: made from the names of guards
// in the last one, so that neither titles nor files are written by hand.
import { readFileSync, writeFileSync } from 'node:fs'
import type { Guard } from '../../scripts/guards.mjs'

type Guards = ReadonlyMap<string, Guard>

/** With GATEHOUSE_WRITE_DOCS the page is written first. */
export function readGuardRows(page: string, guards: Guards): string[] {
  const text = readFileSync(page, 'utf8')
  const due = text.split('\n').map((line) => withCells(line, guards)).join('\n')
  if (process.env.GATEHOUSE_WRITE_DOCS && due !== text) writeFileSync(page, due)
  return readFileSync(page, 'utf8').split('\n').filter((line) => line.startsWith('| '))
}

/** A row that names no guard, or one that is not there, stays as it is. */
export function withCells(line: string, guards: Guards): string {
  if (!line.startsWith('| ')) return line
  const cells = line.slice(2, -2).split(' | ')
  const found = guardNames(cells.at(-1)).map((name) => guards.get(name))
  if (found.length === 0) return line
  const known = found.filter((guard) => guard !== undefined)
  if (known.length < found.length) return line
  const proofs = new Set(known.map(({ test, titles }) => [`\`${test}\``, ...titles].join(' › ')))
  const places = known.map(({ name, file }) => `\`${name}\` in \`${file}\``)
  return `| ${[...cells.slice(0, -2), [...proofs].join('<br>'), places.join('<br>')].join(' | ')} |`
}

/** Of the last cell: each line of it begins with a name in backticks. */
export function guardNames(cell = ''): string[] {
  return cell.split('<br>').flatMap((text) => /^`([^`]+)`/.exec(text)?.[1] ?? [])
}
