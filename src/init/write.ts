// Files that appear all or not at all: written into a folder beside their places, then moved there. What is replaced is
// kept under another name; a secret is never replaced.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

export interface FileToWrite {
  /** Below the folder. */
  readonly path: string
  readonly text: string
  /** Mode 0600, and kept as it is where it is there already. */
  readonly secret?: boolean
  readonly executable?: boolean
}

export interface Written {
  readonly written: readonly string[]
  /** Secrets that were there already. */
  readonly kept: readonly string[]
  /** What was replaced, under its new name. */
  readonly saved: readonly string[]
}

/** Those that are there, in the order of the list. */
export function existing(folder: string, files: readonly FileToWrite[]): string[] {
  return files.map(({ path }) => path).filter((path) => isThere(join(folder, path)))
}

/** A link that leads nowhere is there too. What cannot be looked at is met again, as an error, when it is written. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined
  } catch {
    return false
  }
}

/** A folder in which every user of the machine may exchange the secrets; undefined: there is none. */
export function writableByOthers(folder: string): string | undefined {
  return [folder, join(folder, 'secrets')].find((each) => existsSync(each) && (statSync(each).mode & 0o002) !== 0)
}

/** @throws the file system's error, after everything is as it was */
export function writeAll(folder: string, files: readonly FileToWrite[], now: Date): Written {
  const stamp = now.toISOString().replace(/\.\d+Z$/, 'Z').replaceAll(':', '-')
  const undo: (() => void)[] = []
  const [written, kept, saved]: [string[], string[], string[]] = [[], [], []]
  try {
    makeFolder(folder, 0o755, undo)
    const draft = mkdtempSync(join(folder, '.gatehouse-init-'))
    undo.push(() => rmSync(draft, { recursive: true, force: true }))
    for (const [index, { path, text, secret = false, executable = false }] of files.entries()) {
      const target = join(folder, path)
      if (isThere(target)) {
        if (secret) { // guard: adv-init-keeps-secrets
          kept.push(path)
          continue
        }
        if (sameText(target, text)) {
          written.push(path)
          continue
        }
      }
      makeFolder(dirname(target), secret ? 0o700 : 0o755, undo) // guard: adv-init-secrets-folder
      const from = join(draft, String(index))
      // guard: adv-init-secret-mode
      writeFileSync(from, text, { mode: secret ? 0o600 : executable ? 0o755 : 0o644, flag: 'wx' })
      if (isThere(target)) {
        const old = `${path}.${stamp}.old`
        renameSync(target, join(folder, old))
        undo.push(() => renameSync(join(folder, old), target))
        saved.push(old)
      }
      renameSync(from, target)
      undo.push(() => rmSync(target, { force: true }))
      written.push(path)
    }
    rmSync(draft, { recursive: true, force: true })
    return { written, kept, saved }
  } catch (error) {
    for (const step of undo.reverse()) step()
    throw error
  }
}

function sameText(path: string, text: string): boolean {
  const state = lstatSync(path)
  return state.isFile() && readFileSync(path, 'utf8') === text
}

/** With every folder above it that is missing. */
function makeFolder(path: string, mode: number, undo: (() => void)[]): void {
  if (existsSync(path)) return
  makeFolder(dirname(path), 0o755, undo)
  mkdirSync(path, { mode })
  undo.push(() => rmdirSync(path))
}
