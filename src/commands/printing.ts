// What commands print, for people or as JSON.
import { commandProcess } from './command-process.js'
import { present, terminalOf } from './terminal.js'

/** Control characters are replaced: names come from Entra ID and could contain escape sequences. */
export function print(text: string): void {
  const { stdout } = commandProcess()
  stdout.write(`${present(visibleLines(text), terminalOf(stdout))}\n`)
}

/** A file for other programs, on a terminal too: its lines stay as they are. */
export function printFile(text: string): void {
  commandProcess().stdout.write(`${visibleLines(text)}\n`)
}

/** Prints on standard error, so that standard output contains only what a program reads. */
export function printNote(text: string): void {
  const { stderr } = commandProcess()
  stderr.write(`${present(visibleLines(text), terminalOf(stderr))}\n`)
}

export function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n')
}

export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '?')
}

export function printJson(value: unknown): void {
  printFile(JSON.stringify(value, null, 2))
}
