// The `...File` twin of a secret: the file's text (for a list: a secret a line) takes the place of the key.
import { readLeaf, readPlain } from './read-leaf.js'
import { describeFailure } from './files.js'
import { isRefusal } from './kinds/kind.js'
import type { ReadContext } from './read-context.js'
import { cleanSecret } from './secret-text.js'
import type { Shape } from './schema-shape.js'

const PATH: Shape = { type: 'string', 'x-kind': 'path' }

/** @param path of the twin itself @returns undefined where it was refused, and reported */
export function readSecretFile(context: ReadContext, shape: Shape, node: unknown, path: string): unknown {
  const { report } = context
  const file = readLeaf(context, PATH, node, path)
  if (typeof file !== 'string') return undefined
  context.secretFiles.push(file)
  let whole: string
  try {
    whole = context.files.read(file)
  } catch (error) {
    const { failure, message, remedy } = describeFailure(error)
    report.problem(path, `secret_file_${failure}`, `${path}: the file ${file} ${message}.`, remedy)
    return undefined
  }
  warnOfOpenFile(context, path, file)
  const several = shape.type === 'array'
  const text = whole.replace(/\r?\n$/, '') // a file ends with a line break, which is nothing to warn of
  const secrets = (several ? text.split(/\r?\n/) : [text]).flatMap((secret, index) => {
    const subject = several ? `line ${index + 1} of ${file}` : `the secret in ${file}`
    const value = cleanSecret(report, path, `${path}: ${subject}`, secret)
    return value === '' ? [] : [{ value, subject }]
  })
  const [first] = secrets
  if (!first) return problem(context, path, 'secret_file_empty', `the file ${file} is empty`, 'Put the secret into it.')
  if (several) return secrets.map(({ value, subject }) => checked(context, shape.items ?? shape, value, path, subject))
  if (/[\r\n]/.test(first.value)) {
    const message = `the file ${file} has more than one line`
    return problem(context, path, 'secret_file_lines', message, 'Keep the secret alone in it.')
  }
  return checked(context, shape, first.value, path, first.subject)
}

function warnOfOpenFile({ report, files }: ReadContext, path: string, file: string): void {
  if (files.worldWritable(file)) { // guard: adv-secret-file-writable
    report.warn(
      path,
      'secret_file_writable',
      `${path}: every user of this machine may change or replace ${file}.`,
      'Take that right away from the file and from the directory that holds it: chmod o-w.',
    )
  }
  if (files.worldReadable(file)) {
    report.warn(path, 'secret_file_open', `${path}: every user of this machine may read ${file}.`, `chmod 640 ${file}`)
  }
}

function checked(context: ReadContext, shape: Shape, value: string, path: string, subject: string): unknown {
  const reading = readPlain(context, shape, { value, shown: 'something else' })
  return isRefusal(reading)
    ? problem(context, path, reading.code, `${subject} ${reading.message}`, reading.remedy)
    : reading.value
}

function problem(context: ReadContext, path: string, code: string, message: string, remedy: string): undefined {
  context.report.problem(path, code, `${path}: ${message}.`, remedy)
}
