// docs/proxies.md: what each proxy answered in this run, as tables. Nothing in it depends on time, ports or exact
// versions of the distribution.
import { existsSync, readFileSync } from 'node:fs'
import type { Proxy } from '../../helpers/proxies-all.js'
import { each, type Column } from './context.js'
import type { Cells } from './running.js'

export const LONG_RUN = 'test/fixtures/proxies-long-run.json'

export interface LongResult {
  readonly proxy: string
  readonly requests: number
  readonly reached: number
  readonly wrong: number
}

export interface LongRun {
  readonly seed: number
  readonly results: readonly LongResult[]
}

const HEAD = `# Proxies: what was tried, and what each one answered

Written by \`test/e2e/proxy-matrix.test.ts\` (\`GATEHOUSE_WRITE_PROXIES=1\`).
It fails where this page and a run differ.
Each proxy runs the file that is shipped in \`config/proxies\`, on port 443 of an address of its own.
Behind it an application records what reaches it.
"of Debian" is the version of the distribution (Debian 12: nginx 1.22, Caddy 2.6, HAProxy 2.6).
The others are in \`.ci/proxies.txt\`.

Rules: \`/open/**\` for anyone, \`/admin/**\` for staff, the rest for everybody who is signed in;
another host for anyone.
In every row of hosts, a person without rights asks for \`/admin/x\`, a stranger for \`/x\` and for what anyone may open
on another port: none of it reaches the application.
The cell is what staff get for \`/admin/x\`: \`closed\` means no answer, \`empty 200\` that the proxy answers itself.
`

export function render(cells: ReadonlyMap<Column, Cells>, proxies: readonly Proxy[]): string {
  const names = proxies.map(({ name }) => name)
  const overview = [...cells].map(([column, rows]) => [
    column.title,
    ...names.map((name) => summary(column, rows, name)),
  ])
  const parts = [HEAD, '## Overview\n', table(['', ...names], overview), longRun()]
  for (const [column, rows] of cells) {
    parts.push(
      `## ${column.title}\n`,
      table(
        ['', ...names],
        [...rows].map(([title, row]) => [title, ...names.map((name) => row.get(name) ?? '')]),
      ),
    )
  }
  return `${parts.join('\n')}`
}

function summary(column: Column, rows: Cells, name: string): string {
  const values = column.rows.map(({ title }) => rows.get(title)?.get(name) ?? '')
  return column.summary?.(values) ?? each(values)
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (values: readonly string[]) => `| ${values.map((value) => value.replaceAll('|', '\\|')).join(' | ')} |`
  return `${[line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n')}\n`
}

/** The result of `npm run test:long`, as it was last kept. */
function longRun(): string {
  if (!existsSync(LONG_RUN)) return ''
  const { seed, results } = JSON.parse(readFileSync(LONG_RUN, 'utf8')) as LongRun
  const rows = results.map(({ proxy, requests, reached, wrong }) => [
    proxy,
    ...[requests, reached, wrong].map((each) => each.toLocaleString('en')),
  ])
  return `## Random requests

\`npm run test:long\` sends random requests to each proxy on raw sockets.
What reaches the application is judged by an oracle of the test's own, in every reading of the path.
Last kept run, seed ${seed}:

${table(['', 'requests', 'reached the application', 'that no rule allows'], rows)}`
}
