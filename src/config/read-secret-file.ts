// The `...File` twin of a secret: the file's text (for a list: a secret a line) takes the place of the key.
import { readLeaf, readPlain } from './read-leaf.js'
import { describeFailure } from './files.js'
import { isRefusal } from './kinds/kind.js'
import type { ReadContext } from './read.js'
import type { Shape } from './shape.js'

const PATH: Shape = { type: 'string', 'x-kind': 'path' }

/** @param path of the twin itself @returns undefined where it was refused, and reported */
export function readSecretFile(context: ReadContext, shape: Shape, node: unknown, path: string): unknown {
  const { report } = context
  const file = readLeaf(context, PATH, node, path)
  if (typeof file !== 'string') return undefined
  context.secretFiles.push(file)
  let text: string
  try {
    text = context.files.read(file)
  } catch (error) {
    const { failure, says, remedy } = describeFailure(error)
    report.problem(path, `secret_file_${failure}`, `${path}: the file ${file} ${says}.`, remedy)
    return undefined
  }
  if (context.files.worldReadable(file)) report.warn(path, 'secret_file_open', `${path}: every user of this machine may read ${file}.`, `chmod 640 ${file}`)
  const lines = text.split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  const secrets = shape.type === 'array' ? lines.filter((line) => line !== '') : lines
  if (secrets.join('') === '') return problem(context, path, 'secret_file_empty', `the file ${file} is empty`, 'Put the secret into it.')
  if (shape.type !== 'array' && secrets.length > 1) return problem(context, path, 'secret_file_lines', `the file ${file} has more than one line`, 'Keep the secret alone in it.')
  const values = secrets.map((secret, index) => checked(context, shape.items ?? shape, secret, path, shape.items ? `line ${index + 1} of ${file}` : `the secret in ${file}`))
  return shape.type === 'array' ? values : values[0]
}

function checked(context: ReadContext, shape: Shape, value: string, path: string, subject: string): unknown {
  const reading = readPlain(context, shape, { value, shown: 'something else' })
  return isRefusal(reading) ? problem(context, path, reading.code, `${subject} ${reading.says}`, reading.remedy) : reading.value
}

function problem(context: ReadContext, path: string, code: string, message: string, remedy: string): undefined {
  context.report.problem(path, code, `${path}: ${message}.`, remedy)
}
