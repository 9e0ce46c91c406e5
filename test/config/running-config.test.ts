// The two halves of a running configuration: the types keep a part of the program from reading a key that a reload
// does not change as if it were current.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Config } from '../../src/config/config.js'
import { configHash } from '../../src/config/config-hash.js'
import { loadConfig } from '../../src/config/load.js'
import { runningConfig } from '../../src/config/running-config.js'

const ID = '11111111-2222-3333-4444-555555555555'
const CONFIG = `
server: { publicUrl: https://auth.corp.test }
entra: { tenantId: ${ID}, clientId: ${ID}, clientSecret: client-secret-of-this-test }
database: { url: "postgres://gatehouse@db/gatehouse" }
session: { secrets: ["${'q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'}"] }
keys: { encryptionSecrets: ["${'z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'}"] }
`

function loaded(t: Test): Config {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-running-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  writeFileSync(join(directory, 'gatehouse.yaml'), CONFIG)
  return loadConfig(join(directory, 'gatehouse.yaml'), { env: {} }).config
}

t.test('the startup half is read once; the reloadable half and the hash follow a reload', async (t) => {
  const first = loaded(t)
  let inForce = first
  const running = runningConfig(() => inForce)
  t.equal(running.hash(), configHash(first))
  inForce = {
    ...first,
    requireMappedGroup: !first.requireMappedGroup,
    server: { ...first.server, port: first.server.port + 1 },
  }
  t.equal(running.startup.server.port, first.server.port)
  t.equal(running.current().requireMappedGroup, !first.requireMappedGroup)
  t.equal(running.hash(), configHash(inForce))
})

t.test('a key of the other half does not compile', async (t) => {
  const config = loaded(t)
  const { startup, current } = runningConfig(() => config)
  // @ts-expect-error a port needs a restart
  t.ok(current().server, 'read from the startup half only')
  // @ts-expect-error a reload changes the mapping
  t.ok(startup.groupMapping, 'read from the reloadable half only')
  // @ts-expect-error a client secret that rotates in its file is in force at once
  t.ok(startup.entra.clientSecret, 'read from the reloadable half only')
  t.ok(current().entra.clientSecret)
})
