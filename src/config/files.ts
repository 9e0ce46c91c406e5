// Reading files that an operator names: every kind of failure has its own code, since each has another remedy.
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

export const MAX_BYTES = 1024 * 1024

export type FileFailure = 'missing' | 'unreadable' | 'directory' | 'not_utf8' | 'too_large'

export class FileError extends Error {
  readonly failure: FileFailure

  constructor(failure: FileFailure, cause?: unknown) {
    super(failure, { cause })
    this.name = 'FileError'
    this.failure = failure
  }
}

export interface Files {
  /** @throws FileError */
  read(path: string): string
  /** The same of a file that is no text. @throws FileError */
  readBytes(path: string): Buffer
  /** Every user of the machine may read it. */
  worldReadable(path: string): boolean
  /** Every user of the machine may change it, or put another file in its place. */
  worldWritable(path: string): boolean
}

/** @param readFile in place of the file system, as a reload or a test gives it */
export function createFiles(readFile?: (path: string) => string): Files {
  const readText = readFile ?? ((path) => asUtf8(readWhole(path)))
  const readRaw = readFile === undefined ? readWhole : (path: string) => Buffer.from(readFile(path))
  return {
    readBytes(path) {
      try {
        return readRaw(path)
      } catch (error) {
        throw error instanceof FileError ? error : new FileError(failureOf(error), error)
      }
    },
    read(path) {
      try {
        const text = readText(path)
        if (Buffer.byteLength(text) > MAX_BYTES) throw new FileError('too_large')
        return text.startsWith('\uFEFF') ? text.slice(1) : text
      } catch (error) {
        throw error instanceof FileError ? error : new FileError(failureOf(error), error)
      }
    },
    worldReadable: (path) => (modeOf(path) & 0o004) !== 0,
    worldWritable(path) {
      const sticky = (modeOf(dirname(path)) & 0o1000) !== 0 // there, only the owner may replace a file
      return (modeOf(path) & 0o002) !== 0 || (!sticky && (modeOf(dirname(path)) & 0o002) !== 0)
    },
  }
}

/** Of what a link leads to; 0 where there is none. */
function modeOf(path: string): number {
  try {
    return statSync(path).mode
  } catch {
    return 0
  }
}

/** Never reads more than the limit, whatever the path names (a device, a pipe that does not end). */
function readWhole(path: string): Buffer {
  const descriptor = openSync(path, 'r')
  try {
    if (fstatSync(descriptor).isDirectory()) throw new FileError('directory')
    const buffer = Buffer.allocUnsafe(MAX_BYTES + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < buffer.length;) {
      read = readSync(descriptor, buffer, length, buffer.length - length, null)
      length += read
    }
    if (length > MAX_BYTES) throw new FileError('too_large')
    return Buffer.from(buffer.subarray(0, length))
  } finally {
    closeSync(descriptor)
  }
}

function asUtf8(bytes: Buffer): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
}

function failureOf(error: unknown): FileFailure {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'missing'
  if (code === 'EISDIR') return 'directory'
  return code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'not_utf8' : 'unreadable'
}

const WORDS: Readonly<Record<FileFailure, readonly [message: string, remedy: string]>> = {
  missing: [
    'does not exist',
    "Check the path; a relative one in the configuration counts from the configuration file's directory.",
  ],
  unreadable: ['cannot be read', 'Give the user that runs Gatehouse the right to read it.'],
  directory: ['is a directory', 'Name a file.'],
  not_utf8: ['is not UTF-8 text', 'Save it as UTF-8.'],
  too_large: ['is larger than 1 MB', 'Check that this is the right file.'],
}

export function describeFailure(
  error: unknown,
): { readonly failure: FileFailure, readonly message: string, readonly remedy: string } {
  const failure = error instanceof FileError ? error.failure : 'unreadable'
  const [message, remedy] = WORDS[failure]
  return { failure, message, remedy }
}
