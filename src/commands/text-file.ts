// A text file that a command gets by its path.
import { createFiles, describeFailure } from '../config/files.js'
import { GatehouseError } from '../core/errors.js'

/** UTF-8 of at most 1 MB. @throws GatehouseError `file_unreadable` */
export function readTextFile(file: string): string {
  try {
    return createFiles().read(file)
  } catch (cause) {
    const remedy = 'Give the path of a UTF-8 file of at most 1 MB that this user may read.'
    throw new GatehouseError('file_unreadable', { cause, detail: `${file} ${describeFailure(cause).message}`, remedy })
  }
}
