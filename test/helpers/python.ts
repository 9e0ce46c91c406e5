// A Python that has what a test needs: the one on the path may be another than the distribution's, which has the
// packages.
import { spawnSync } from 'node:child_process'
import type { Test } from 'tap'
import { program, skip } from './programs.js'

/** @returns the program; the test is skipped, or fails where nothing may be skipped, without these modules */
export function pythonWith(t: Test, ...modules: readonly string[]): string | undefined {
  const python = program(t, 'python3')
  if (python === undefined) return undefined
  const check = ['-c', `import ${modules.join(', ')}`]
  const found = [python, '/usr/bin/python3'].find((path) => spawnSync(path, check).status === 0)
  if (found === undefined) skip(t, `no Python has ${modules.join(', ')}`)
  return found
}
