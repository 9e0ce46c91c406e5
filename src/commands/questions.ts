// Questions on a terminal, one line each. Lines that are typed or pasted ahead count for the questions that follow.
import { createInterface } from 'node:readline'

export interface Questions {
  /** @returns the line without blanks around it @throws InputEnded */
  ask(question: string): Promise<string>
  close(): void
}

/** Ctrl-C, Ctrl-D, or a terminal that was closed. */
export class InputEnded extends Error {}

export function openQuestions(input: NodeJS.ReadableStream, output: NodeJS.WritableStream): Questions {
  const lines = createInterface({ input, output, terminal: true, historySize: 0 })
  const ahead: string[] = []
  let waiting: { resolve(line: string): void, reject(error: Error): void } | undefined
  let ended = false
  lines.on('line', (line) => {
    if (!waiting) return ahead.push(line)
    const { resolve } = waiting
    waiting = undefined
    resolve(line)
  })
  lines.on('close', () => {
    ended = true
    waiting?.reject(new InputEnded())
  })
  return {
    async ask(question) {
      lines.setPrompt(question)
      lines.prompt()
      const known = ahead.shift()
      if (known !== undefined) return known.trim()
      if (ended) throw new InputEnded()
      return (await new Promise<string>((resolve, reject) => {
        waiting = { resolve, reject }
      })).trim()
    },
    close: () => lines.close(),
  }
}
