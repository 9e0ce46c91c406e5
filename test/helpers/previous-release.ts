// The previous release, from its tag in this repository: built in a folder of its own, and run as a process.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { run, skip, type Running } from './programs.js'

export interface PreviousRelease {
  /** @returns once it listens @param config as in gatehouse.yaml */
  serve(config: Readonly<Record<string, unknown>>, managementPort: number): Promise<Running>
}

/** @returns undefined where this is no git repository with the tag, or git is not installed */
export function buildPreviousRelease(t: Test, tag: string): PreviousRelease | undefined {
  const archive = archiveOf(tag)
  if (archive === undefined) {
    skip(t, `there is no git repository with the tag ${tag}`)
    return undefined
  }
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-previous-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  execFileSync('tar', ['-x', '-C', home], { input: archive })
  const own = (name: string): string => join(process.cwd(), name)
  if (dependenciesOf(join(home, 'package-lock.json')) === dependenciesOf(own('package-lock.json'))) {
    symlinkSync(own('node_modules'), join(home, 'node_modules'))
  } else execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: home, stdio: 'ignore' })
  execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: home, stdio: 'ignore' })
  return {
    async serve(config, managementPort) {
      const file = join(home, `${managementPort}.yaml`)
      writeFileSync(file, stringify(config), { mode: 0o600 })
      return await run(t, process.execPath, [join(home, 'dist/cli.js'), 'serve', '--config', file], {
        port: managementPort,
        cwd: home,
      })
    },
  }
}

function archiveOf(tag: string): Buffer | undefined {
  try {
    return execFileSync('git', ['archive', tag], { maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return undefined
  }
}

/** Without the versions of the project itself. */
function dependenciesOf(lockFile: string): string {
  const { packages } = JSON.parse(readFileSync(lockFile, 'utf8')) as { packages: Record<string, { version?: string }> }
  return JSON.stringify(Object.entries(packages).map(([path, { version }]) => path === '' ? [] : [path, version]))
}
