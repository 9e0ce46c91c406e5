// A draft of the policy is judged with the variables of the policy in force, and says no value of them.
/* eslint-disable no-template-curly-in-string -- what the operator writes */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../src/config/load.js'
import { runningConfig } from '../src/config/running-config.js'
import { createLoadingThread } from '../src/config/loading-thread.js'
import { createDraftJudge, createEntryJudge } from '../src/draft-judge.js'

const ID = '8d1f0000-1111-2222-3333-444444444444'
const ENV = {
  HOST: 'wiki.outside.test',
  INSIDE: 'wiki.corp.test',
  ENTRA_CLIENT_SECRET: 'abc~client-secret.def',
  OTHER: 'of the machine',
}
const FILE = `server: { publicUrl: https://auth.corp.test, redirectDomains: [.corp.test] }
entra: { tenantId: ${ID}, clientId: ${ID}, clientSecret: "\${ENTRA_CLIENT_SECRET}" }
database: { url: postgres://u:p@h/db }
session: { secrets: [kJ8-first-Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv9], cookieDomain: corp.test }
keys: { encryptionSecrets: [uE3-second-Hm6Tn8Pc1Fy7Gs3Jv9Qe2] }
groupMapping: [{ entraGroup: ${ID}, groups: [Engineers] }]
access: { rules: [{ hosts: ["\${HOST}", "\${INSIDE}"], allow: authenticated }] }
`

function judgeIn(t: Test) {
  const file = join(t.testdir({}), 'gatehouse.yaml')
  writeFileSync(file, FILE)
  let { config } = loadConfig(file, { env: ENV })
  const running = runningConfig(() => config)
  return {
    judge: createDraftJudge(running, {
      env: ENV,
      images: { namedIn: async () => [] },
      thread: createLoadingThread(),
    }),
    judgeEntry: createEntryJudge(running, ENV),
    running,
    reload(text: string) {
      writeFileSync(file, text)
      config = loadConfig(file, { env: ENV }).config
    },
  }
}

t.test('the text in force can be used, and is the same policy', async (t) => {
  const { judge, running } = judgeIn(t)
  const { text, hash } = running.current().policyText
  t.match(await judge(text), { problems: [], policy: { hash, groupMapping: [{ groups: ['Engineers'] }] } })
})

// proves: policy-draft-no-values
t.test('no finding has the value of a variable', async (t) => {
  const { judge, running } = judgeIn(t)
  const { text } = running.current().policyText
  const { warnings } = await judge(
    `${text.replace('authenticated', 'authenticated, enforce: false')}defaultGroups: [A]\n`,
  )
  const found = (code: string) => warnings.filter((each) => each.code === code)
  t.match(found('shadow_rule_alone'), [{ line: 3, path: 'access.rules[0].hosts[0]', message: /about \$\{HOST\},/ }, {}])
  t.match(found('default_groups_lost'), [{ line: 4, message: /defaultGroups/ }], 'what no variable is in is said')
  const rule = 'access: { rules: [{ hosts: [a.corp.test], networks: ["${HOST}"], allow: Anyone }] }\n'
  const { problems, policy } = await judge(rule)
  t.match(problems, [{ path: 'access.rules[0].networks[0]' }, { path: 'access.rules[0].allow', message: /./ }])
  t.equal(policy, undefined)
  const rules = '{ hosts: ["${INSIDE}"], allow: authenticated }, { hosts: [wiki.corp.test], allow: anyone }'
  t.match(
    (await judge(`access: { rules: [${rules}] }\n`)).warnings.filter(({ code }) => code === 'rule_never_decides'),
    [{ message: null, remedy: null }],
    'a finding that depends on the value is not explained',
  )
  t.notMatch(JSON.stringify([warnings, problems]), /outside\.test/)
})

// proves: policy-entry-variables
t.test('one row or rule by itself sees the variables in force alone, and says no value of them', async (t) => {
  const { judgeEntry } = judgeIn(t)
  const rule = (host: string) => `{ hosts: ["${host}"], allow: authenticated }`
  t.strictSame(await judgeEntry(rule('${HOST}'), 'access.rules[4]'), [])
  const [unset, ...others] = await judgeEntry(rule('${OTHER}'), 'access.rules[4]')
  t.match(unset, { code: 'env_unset', path: 'access.rules[4].hosts[0]' })
  t.strictSame(others, [])
  const wrong = await judgeEntry('{ entraGroup: "${HOST}", groups: ["${INSIDE} "], more: 1 }', 'groupMapping[2]')
  t.strictSame(
    wrong.map(({ path }) => path),
    ['entraGroup', 'groups[0]', 'more'].map((key) => `groupMapping[2].${key}`),
  )
  t.notMatch(JSON.stringify(wrong), /outside\.test|corp\.test/)
})

t.test('variables that the policy in force does not use are not there', async (t) => {
  const { judge } = judgeIn(t)
  for (const name of ['OTHER', 'ENTRA_CLIENT_SECRET', 'HOME', 'NOT_SET']) {
    const { problems } = await judge(`access: { rules: [{ hosts: ["\${${name}}"], allow: anyone }] }\n`)
    t.match(problems, [{ line: 1, code: 'env_unset' }], name)
    t.notMatch(JSON.stringify(problems), /of the machine|client-secret/, name)
  }
})

t.test('a judgement is kept until another configuration is in force', async (t) => {
  const { judge, reload } = judgeIn(t)
  const text = 'access: { rules: [{ hosts: ["${HOST}"], allow: authenticated }] }\n'
  const first = await judge(text)
  t.equal(await judge(text), first)
  for (let n = 0; n < 20; n++) await judge(`# ${n}\n`)
  t.match(await judge(text), { problems: [] })
  reload(FILE.replace('"${HOST}"', 'wiki.outside.test'))
  t.match((await judge(text)).problems, [{ code: 'env_unset' }])
})
