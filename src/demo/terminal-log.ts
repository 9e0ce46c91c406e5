// The gateway's log as the demo shows it on the terminal: who was mapped and why, who was refused and by what rule, and
// whatever is wrong. One line each; everything else is for a real installation.

interface LogLine {
  readonly time: string
  readonly level: string
  readonly msg: string
  readonly code?: string
  readonly username?: string
  readonly method?: string
  readonly host?: string
  readonly path?: string
  readonly rule?: string
  readonly allows?: string
  readonly detail?: string
  readonly remedy?: string
}

/** @param print one line @returns where the log (in JSON) is written */
export function terminalLog(print: (line: string) => void): { write(line: string): void } {
  return {
    write(line) {
      const text = inWords(JSON.parse(line) as LogLine)
      if (text !== undefined) print(text)
    },
  }
}

function inWords(line: LogLine): string | undefined {
  const { time, level, msg } = line
  const at = time.slice(11, 19)
  if (msg.startsWith('Azure AD group mapping')) return `${at}  ${msg}`
  if (line.code === 'not_allowed') {
    const { method, host, path, username, rule, allows } = line
    return `${at}  403 for ${username}: ${method} ${host}${path} (${rule}: open to ${allows})`
  }
  if (level === 'info' || level === 'debug' || level === 'trace') return undefined
  const more = [line.detail, line.remedy].filter((text) => text !== undefined)
  return [`${at}  ${level.toUpperCase()}: ${msg}`, ...more.map((text) => `          ${text}`)].join('\n')
}
