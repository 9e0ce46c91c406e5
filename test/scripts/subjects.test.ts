// What the check of commit subjects accepts and refuses, and the hook that runs it.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'
import { fault } from '../../scripts/check-subjects.mjs'

t.test('a subject is an imperative of at most 72 characters', async (t) => {
  const good = ['Add a lint rule for the width of lines', 'Pass the log on', 'Process every page', 'Revert "Adds x."']
  for (const subject of good) t.equal(fault(subject), undefined, subject)
  const bad: [subject: string, reason: RegExp][] = [
    ['Added a rule', /imperative/],
    ['Adds a rule', /imperative/],
    ['Adding a rule', /imperative/],
    ['add a rule', /capital/],
    ['feat: add a rule', /prefix/],
    ['fix(http)!: mend it', /prefix/],
    ['Add a rule.', /full stop/],
    [`Add ${'a rule '.repeat(10)}to it`, /at most 72/],
  ]
  for (const [subject, reason] of bad) t.match(fault(subject), reason, subject)
})

t.test('the hook refuses a message with the reason', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-subjects-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const hook = (message: string) => {
    writeFileSync(join(folder, 'message'), message)
    return spawnSync('.githooks/commit-msg', [join(folder, 'message')], { encoding: 'utf8' })
  }
  t.equal(hook('Add a rule\n\nIt says why.\n# a comment of Git\n').status, 0)
  const { status, stderr } = hook('Added a rule\n')
  t.equal(status, 1)
  t.match(stderr, /commit subject: Added a rule\n +"Added" is not an imperative/)
})

t.test('without a checkout of Git there is nothing to check', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-subjects-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const { status, stdout } = spawnSync(process.execPath, [resolve('scripts/check-subjects.mjs')], {
    cwd: folder,
    encoding: 'utf8',
  })
  t.equal(status, 0)
  t.match(stdout, /not a checkout of Git/)
})
