#!/usr/bin/env node
// The `gatehouse` command as a program of its own. The commands are in commands/program.ts.
import { EXIT } from './commands/exit.js'
import { runCommand } from './commands/program.js'

process.stderr.on('error', () => {}) // there is no other stream to report it on
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (['EPIPE', 'EIO'].includes(error.code ?? '')) return // `| head` has read enough, or the terminal was closed
  process.stderr.write(`gatehouse: the output cannot be written: ${error.message}\n`)
  process.exit(EXIT.failed)
})

process.exitCode = await runCommand(process.argv.slice(2))
