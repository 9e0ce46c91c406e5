// What administrators read on the command line of an Entra group: its label. JSON keeps the Object ID.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { GROUP_IDS, PERSON_IDS } from '../src/demo/people.js'
import { runInProcess } from './helpers/command.js'
import { MAPPING, startTestGateway } from './helpers/gateway.js'

const ID = GROUP_IDS.networkEngineers
const LABEL = 'Network team'

t.test('commands print the label of an Entra group', async (t) => {
  const groupMapping = MAPPING.map((row) => (row.entraGroup === ID ? { ...row, label: LABEL } : row))
  const gateway = await startTestGateway(t, { config: { groupMapping } })
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-labels-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'gatehouse.yaml')
  const { entra, session, keys } = gateway.config
  writeFileSync(
    file,
    stringify({
      server: { publicUrl: gateway.url },
      entra: { tenantId: entra.tenantId, clientId: entra.clientId, clientSecret: 'a secret that nothing asks for' },
      database: { url: gateway.databaseUrl },
      session: { secrets: [...session.secrets] },
      keys: { encryptionSecrets: [...keys.encryptionSecrets] },
      groupMapping,
      access: {
        rules: [
          { hosts: ['wiki.test'], allow: { groups: ['Network Engineers'] } },
          { hosts: ['staff.test'], allow: { staff: true } },
        ],
      },
    }),
  )
  const gatehouse = async (...args: string[]): Promise<string> =>
    (await runInProcess([...args, '--config', file])).stdout
  await gateway.signIn(PERSON_IDS.staff)
  const sam = 'sam.staff@contoso.example'

  // proves: adv-command-label
  await t.test('users list --why and users show', async (t) => {
    for (const text of [await gatehouse('users', 'list', '--why'), await gatehouse('users', 'show', sam)]) {
      t.match(text, /Network Engineers, because of Network team \(row 3\), since 20/)
      t.match(text, /staff, because of Network team \(row 3\)/)
      t.notMatch(text, ID)
    }
    t.match(await gatehouse('users', 'show', sam, '--json'), ID)
  })

  await t.test('explain', async (t) => {
    const text = await gatehouse('explain', '--entra-groups', ID)
    t.match(text, /3 +Network team +Network Engineers, staff/)
    t.notMatch(text, ID)
    t.match(await gatehouse('explain', '--entra-groups', ID, '--json'), ID)
  })

  await t.test('access test', async (t) => {
    const asked = (url: string) => gatehouse('access', 'test', url, '--user', sam, '--method', 'GET')
    t.match(await asked('https://wiki.test/'), 'is a member of Network Engineers, because of Network team')
    t.match(await asked('https://staff.test/'), 'is staff, because of Network team')
  })
})
