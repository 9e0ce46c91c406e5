// A file that a command gets by its path.
import { createFiles, describeFailure } from '../config/files.js'
import { GatehouseError } from '../core/errors.js'

/** UTF-8 of at most 1 MB. @throws GatehouseError `file_unreadable` */
export function readTextFile(file: string): string {
  return readable(file, 'a UTF-8 file of at most 1 MB', () => createFiles().read(file))
}

/** At most 1 MB. @throws GatehouseError `file_unreadable` */
export function readBinaryFile(file: string): Buffer {
  return readable(file, 'a file of at most 1 MB', () => createFiles().readBytes(file))
}

function readable<Content>(file: string, kind: string, read: () => Content): Content {
  try {
    return read()
  } catch (cause) {
    const remedy = `Give the path of ${kind} that this user may read.`
    throw new GatehouseError('file_unreadable', { cause, detail: `${file} ${describeFailure(cause).message}`, remedy })
  }
}
