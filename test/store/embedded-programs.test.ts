// Where the embedded server's programs run from, where root starts it and its user cannot enter their folder.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { placePrograms } from '../../src/store/embedded-account.js'
import { skip } from '../helpers/programs.js'

const NOBODY = { name: 'nobody', uid: 65_534, gid: 65_534 }

// proves: adv-embedded-programs-copied
t.test('programs below a folder that only root may enter run from a copy', async (t) => {
  if (process.getuid?.() !== 0) return skip(t, 'it is not run by root')
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-programs-')) // mode 0700
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  const bin = join(home, 'bin')
  mkdirSync(bin)
  for (const name of ['initdb', 'postgres']) {
    writeFileSync(join(bin, name), '#!/bin/sh\necho it runs\n')
    chmodSync(join(bin, name), 0o755)
  }
  const programs = { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') }
  const placed = placePrograms(programs, NOBODY)
  t.teardown(() => {
    if (placed.copy !== undefined) rmSync(placed.copy, { recursive: true, force: true })
  })
  for (const each of [placed.initdb, placed.postgres]) {
    t.equal(dirname(dirname(each)), placed.copy)
    const { stdout } = spawnSync(each, { uid: NOBODY.uid, gid: NOBODY.gid, cwd: '/', encoding: 'utf8' })
    t.equal(stdout, 'it runs\n', 'by the other user')
  }
  chmodSync(home, 0o755)
  t.same(placePrograms(programs, NOBODY), programs, 'where the user may enter, there is no copy')
  t.ok(existsSync(programs.postgres))
})
