// What comes out of `${NAME}` in the policy decides, and is never shown: a secret could be in it by mistake.
/* eslint-disable no-template-curly-in-string -- what the operator writes */
import t, { type Test } from 'tap'
import { createAuditAdmin } from '../../../src/admin/audit.js'
import type { AdminUseCases } from '../../../src/admin/use-cases.js'
import { asWritten } from '../../../src/config/as-written.js'
import { loadConfig } from '../../../src/config/load.js'
import { runningConfig } from '../../../src/config/running-config.js'
import { GatehouseError } from '../../../src/core/errors.js'
import type { LiveDirectory } from '../../../src/core/policy.js'
import { createDraftUseCases } from '../../../src/draft-use-cases.js'
import { createEntraClient } from '../../../src/entra/client.js'
import { ENDPOINTS } from '../../../src/http/admin/api/endpoints.js'
import { createPeopleUseCases } from '../../../src/people-use-cases.js'
import { createPolicyUseCases } from '../../../src/policy-use-cases.js'
import { createAuditReader } from '../../../src/store/audit-list.js'
import { openDatabase } from '../../../src/store/database.js'
import { migrate } from '../../../src/store/migrate.js'
import { freshDatabase } from '../../helpers/postgres.js'
import { connect } from '../../helpers/sql.js'
import { startFrame } from './frame.js'

const id = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
const USER = id(50)
const SECRET = 'hunter2-q7wd9zr4'
const PERMISSIONS = 'gatehouse.read gatehouse.policy'
const ENV = {
  LABEL: `${SECRET}-label`,
  HOST: `${SECRET}-host.test`,
  APP: `${SECRET}-app.test`,
  GROUP: `${SECRET}-group`,
  RULE_GROUP: `${SECRET}-rule-group`,
  WORD: `${SECRET}.word`,
  PATH_PART: `${SECRET}-path`,
  HEADER: `X-${SECRET}`,
  ROW: 'facade00-1111-4222-8333-444444444444',
  NETWORK: '10.9.8.0/24',
}
const SECRETS = [SECRET, ENV.ROW, ENV.NETWORK]

const TEXT = `
server: { publicUrl: "https://auth.corp.test", redirectDomains: [.corp.test] }
entra: { tenantId: ${id(90)}, clientId: ${id(91)}, clientSecret: abc~def }
database: { url: "postgres://u:p@h/db" }
session: { secrets: [q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv], cookieDomain: corp.test }
keys: { encryptionSecrets: [z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua] }
groupMapping:
  - { entraGroup: ${id(1)}, label: "\${LABEL}", groups: ["\${GROUP}", Circuits], staff: true }
  - { entraGroup: "\${ROW}", groups: ["\${GROUP:-${SECRET}-default}"] }
access:
  default: deny
  rules:
    - { hosts: ["\${HOST}"], networks: ["\${NETWORK}"], allow: authenticated }
    - { hosts: ["\${HOST}", plain.test], paths: ["/\${PATH_PART}/**"],
        allow: { groups: ["\${RULE_GROUP}"], permissions: ["\${WORD}"] } }
    - { hosts: ["\${HOST}"], paths: ["/\${PATH_PART}/**"], allow: deny }
headers: { extra: [{ name: "\${HEADER}", value: username }] }
applications: [{ host: "\${APP}", name: "App \${LABEL}" }]
`

const NO_GRAPH: LiveDirectory = {
  objectId: () => Promise.reject(new GatehouseError('graph_unavailable')),
  memberships: () => Promise.reject(new GatehouseError('graph_unavailable')),
  directMemberships: () => Promise.reject(new GatehouseError('graph_unavailable')),
  group: () => Promise.reject(new GatehouseError('graph_unavailable')),
}

const load = (text = TEXT) => loadConfig('/etc/gh/gatehouse.yaml', { env: ENV, readFile: () => text })

async function scene(t: Test) {
  const url = await freshDatabase(t)
  await migrate(url)
  const query = await connect(t, url)
  const database = openDatabase({ server: url, poolSize: 2 })
  t.teardown(() => database.close())
  await query(`insert into users (id, username, username_key, name) values ('${USER}', 'max', 'max', 'Max')`)
  await query(`insert into identities (tid, oid, user_id) values ('${id(60)}', '${id(61)}', '${USER}')`)
  await query(`insert into entra_readings values ('${USER}', '{${id(1)},${id(9)}}', now())`)
  await query("insert into groups (name) values ('Circuits')")
  const { config } = load()
  const running = runningConfig(() => config)
  const naming = (of: () => Pick<typeof config, 'groupMapping' | 'access'>) => () => ({
    mapping: of().groupMapping,
    rules: of().access.rules,
  })
  const useCases = {
    ...createPeopleUseCases({
      database,
      timeouts: config.session,
      policy: naming(running.current),
      shown: naming(running.shown),
    }),
    ...createPolicyUseCases(running, { database, liveDirectory: NO_GRAPH }),
    ...createDraftUseCases(running, {
      database,
      log: { warn: () => {}, info: () => {} },
      live: {
        openClient: () => createEntraClient(() => config.entra),
        securityGroupsOnly: false,
        place: 'test',
        signInsHeldUntil: () => undefined,
      },
    }),
    audit: createAuditAdmin({ audit: createAuditReader(database), findPerson: async () => USER }),
  } as AdminUseCases
  return await startFrame(t, ENDPOINTS, useCases)
}

const TESTED = `/admin/test?user=max&address=10.9.8.7&url=${encodeURIComponent('https://plain.test/x')}`

// proves: admin-policy-variables
t.test('what a variable of the policy holds is on no page and in no answer of the API', async (t) => {
  const ask = await scene(t)
  for (
    const path of [
      '/admin/mapping',
      '/admin/mapping?only=missing',
      '/admin/access',
      '/admin/access?only=findings',
      '/admin/groups',
      '/admin/groups?missing=true',
      `/admin/groups/${encodeURIComponent('${GROUP}')}`,
      '/admin/groups/Circuits',
      `/admin/people/${USER}`,
      `/admin/people/${USER}/explain`,
      `/admin/people/${USER}/access`,
      TESTED,
      '/admin/api/v1/policy',
      '/admin/api/v1/groups',
      '/admin/api/v1/groups?missing=true',
      '/admin/api/v1/groups/Circuits',
      `/admin/api/v1/people/${USER}`,
      `/admin/api/v1/people/${USER}/explain`,
      `/admin/api/v1/people/${USER}/access`,
    ]
  ) {
    const { status, text } = await ask(path, PERMISSIONS)
    t.equal(status, 200, path)
    for (const secret of SECRETS) t.notOk(text.toLowerCase().includes(secret), `${path} does not have ${secret}`)
  }
})

t.test('in its place is the text of the file, without a default', async (t) => {
  const ask = await scene(t)
  const { json } = await ask('/admin/api/v1/policy', PERMISSIONS)
  t.match(json, {
    mapping: [
      { label: '${LABEL}', groups: [{ name: '${GROUP}', exists: false }, { name: 'Circuits', exists: true }] },
      { entraGroup: '${ROW}', groups: [{ name: '${GROUP}' }] },
    ],
    access: {
      rules: [
        { hosts: ['${HOST}'], networks: ['${NETWORK}'] },
        { paths: ['/${PATH_PART}/**'], allow: { groups: ['${RULE_GROUP}'], permissions: ['${WORD}'] } },
        { rule: 'access.rules[2]' },
      ],
    },
  })
  const { text } = await ask(`/admin/people/${USER}/access`, PERMISSIONS)
  t.match(text, 'App ${LABEL}')
  t.match((await ask('/admin/mapping', PERMISSIONS)).text, 'line 8')
  t.match((await ask('/admin/access', PERMISSIONS)).text, 'line 13')
})

t.test('a search does not find what is not shown', async (t) => {
  const ask = await scene(t)
  for (const path of ['/admin/mapping', '/admin/access']) {
    const { text } = await ask(`${path}?q=${SECRET}`, PERMISSIONS)
    t.match(text, /No (?:row|rule) matches/, path)
  }
  const missing = await ask(`/admin/api/v1/groups?missing=true&q=${SECRET}`, PERMISSIONS)
  t.strictSame(missing.json, { items: [], next: null })
  t.equal((await ask(`/admin/api/v1/groups/${ENV.GROUP}`, PERMISSIONS)).status, 404)
})

t.test('the values decide all the same, and findings have the text of the file', async (t) => {
  const { config, warnings } = load()
  t.equal(config.access.rules[0]?.hosts[0], ENV.HOST)
  t.equal(config.groupMapping[0]?.groups[0], ENV.GROUP)
  t.equal(config.applications[0]?.host, ENV.APP)
  t.ok(warnings.some(({ code, message }) => code === 'rule_outside_cookie' && message.includes('${HOST}')))
  for (const secret of SECRETS) t.notOk(JSON.stringify(warnings).includes(secret))
  const plain = load(
    TEXT.replaceAll(/\$\{ROW\}/g, id(2)).replaceAll(/\$\{NETWORK\}/g, '10.0.0.0/8')
      .replaceAll(/\$\{[^}]*\}/g, 'plain.test'),
  ).config
  t.equal(asWritten(plain), plain, 'nothing is copied where nothing is to be hidden')
})
