// What `gatehouse demo` prints when it is ready: the addresses, the people and a command to try.
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PEOPLE } from '../demo/people.js'
import { print } from './context.js'

export interface DemoAddresses {
  readonly url: string
  /** The application that only circuit managers may open. */
  readonly circuits: string
  /** The admin console. */
  readonly console: string
  /** The configuration file, for commands in another terminal while the demo runs. */
  readonly config: string
}

export function printWelcome({ url, circuits, console, config }: DemoAddresses): void {
  print(
    `\nGatehouse demo is running. Open\n\n    ${url}\n\nand sign in as one of these people (there are no passwords):\n`,
  )
  const width = Math.max(...Object.values(PEOPLE).map((person) => person.displayName.length))
  for (const person of Object.values(PEOPLE)) print(`    ${person.displayName.padEnd(width)}  ${person.note ?? ''}`)
  print(`\nTry as each of them:

    ${url}staff/  staff alone
    ${url}admin/  superusers alone
    ${circuits}  another application: circuit managers alone, such as Max Many

See who has what and why in the admin console, as staff or as a superuser:

    ${console}

or from another terminal:

    ${commandLine()} users list --why --config ${quoted(config)}

Sign-ins and refusals are written below. The Entra ID is simulated; everything else is real.
Ctrl-C ends it and leaves nothing behind.\n`)
}

function commandLine(): string {
  const cli = fileURLToPath(new URL('../cli.js', import.meta.url))
  const path = relative(process.cwd(), cli)
  return `node ${quoted(path.startsWith('..') ? cli : path)}`
}

function quoted(path: string): string {
  return /^[\w./~-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
