// What doctor says of the link to the database.
import t from 'tap'
import { databaseFits, type DatabaseState } from '../../src/checks/database.js'

const SEEN: DatabaseState = {
  timeMs: Date.now(),
  version: '18.0',
  pending: [],
  local: false,
  hosts: [],
  readOnly: undefined,
  noRights: undefined,
  link: { encrypted: false, protocol: undefined, verified: 'nothing' },
}

async function linkFinding(seen: Partial<DatabaseState>) {
  const findings = await databaseFits({ inspect: async () => ({ ...SEEN, ...seen }) })()
  return findings.find(({ code }) => code.startsWith('database_link'))
}

t.test('a plain link is warned of where it leaves this machine', async (t) => {
  const warned = await linkFinding({})
  t.match(warned, { state: 'warn', code: 'database_link_plain', remedy: /sslmode=verify-full/ })
  t.match(await linkFinding({ local: true }), { state: 'ok', code: 'database_link' })
})

t.test('for an encrypted connection it reports what was verified', async (t) => {
  for (
    const [verified, message] of [
      ['nothing', /TLSv1\.3\); the server's certificate is not verified/],
      ['authority', /except its name/],
      ['name', /is verified$/],
    ] as const
  ) {
    const found = await linkFinding({ link: { encrypted: true, protocol: 'TLSv1.3', verified } })
    t.match(found, { state: 'ok', message }, verified)
  }
})
