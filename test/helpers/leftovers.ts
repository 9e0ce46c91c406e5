// What a program leaves behind: the processes that refer to its folder, from Linux's /proc.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** Processes that refer to a folder by where they are, what they run, their arguments or their environment. */
export function referringTo(folder: string): { pid: number, command: string }[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).flatMap((pid) => {
    const command = textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')
    const all = [command, textOf(`/proc/${pid}/environ`), linkOf(`/proc/${pid}/cwd`), linkOf(`/proc/${pid}/exe`)]
    return pid !== process.pid && all.some((each) => each.includes(folder)) ? [{ pid, command }] : []
  })
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function linkOf(link: string): string {
  try {
    return readlinkSync(link)
  } catch {
    return ''
  }
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // it has ended
  }
}
