// Writes a set of files completely or not at all: into a temporary folder beside their paths, then moved there. A file
// that is replaced is kept under another name; a secret is never replaced.
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
  /** Mode 0600; an existing file is left unchanged. */
  readonly secret?: boolean
  readonly executable?: boolean
}

export interface Written {
  readonly written: readonly string[]
  /** Secrets that existed before. */
  readonly kept: readonly string[]
  /** The files that were replaced, under their new names. */
  readonly saved: readonly string[]
}

/** The files that exist, in the order of the list. */
export function existing(folder: string, files: readonly FileToWrite[]): string[] {
  return files.map(({ path }) => path).filter((path) => pathExists(join(folder, path)))
}

/** True for a dangling link too. A path that cannot be read is an error later, when it is written. */
function pathExists(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined
  } catch {
    return false
  }
}

/** A folder in which every user of the machine may replace the secrets; undefined: there is none. */
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
    for (const [index, file] of files.entries()) {
      const { path, text, secret = false } = file
      const target = join(folder, path)
      if (pathExists(target)) {
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
      writeFileSync(from, text, { mode: modeOf(file), flag: 'wx' })
      if (pathExists(target)) {
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

function modeOf({ secret = false, executable = false }: FileToWrite): number {
  if (secret) return 0o600 // guard: adv-init-secret-mode
  return executable ? 0o755 : 0o644
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
