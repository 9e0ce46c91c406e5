// A step of the operator's own: a file beside the configuration that nobody else on the machine could have written.
// Here it is only read and judged from outside; src/custom-steps runs it.
import { createHash } from 'node:crypto'
import type { OwnStep } from './config.js'
import { describeFailure, type Files } from './files.js'
import { refuse, type Refusal } from './problem.js'

export function readOwnStep(name: string, path: string, files: Files): OwnStep | Refusal {
  let source: string
  try {
    source = files.read(path)
  } catch (error) {
    const { failure, says, remedy } = describeFailure(error)
    return refuse(`step_file_${failure}`, `is ${path}, which ${says}`, remedy)
  }
  if (files.worldWritable(path)) {
    return refuse(
      'step_file_open',
      `is ${path}, which every user of this machine may change or replace`,
      `It decides who may sign in: chmod o-w ${path} and the directory that holds it.`,
    )
  }
  return { name, path, sha256: createHash('sha256').update(source).digest('hex') }
}
