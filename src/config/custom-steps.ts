// Reads the file of a custom step and refuses it if every user of the machine may write to it. The module itself is
// loaded by src/custom-steps.
import { createHash } from 'node:crypto'
import type { CustomStepFile } from '../core/pipeline/custom-step.js'
import { describeFailure, type Files } from './files.js'
import { valueProblem, type ValueProblem } from './problem.js'

export function readCustomStep(name: string, path: string, files: Files): CustomStepFile | ValueProblem {
  let source: string
  try {
    source = files.read(path)
  } catch (error) {
    const { failure, message, remedy } = describeFailure(error)
    return valueProblem(`step_file_${failure}`, `is ${path}, which ${message}`, remedy)
  }
  if (files.worldWritable(path)) {
    return valueProblem(
      'step_file_open',
      `is ${path}, which every user of this machine may change or replace`,
      `It decides who may sign in: chmod o-w ${path} and the directory that holds it.`,
    )
  }
  return { name, path, sha256: createHash('sha256').update(source).digest('hex') }
}
