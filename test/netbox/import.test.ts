// What somebody brings from NetBox, and what comes out: rows, places of what is left out, YAML that loads.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/load.js'
import { importNetbox as command } from '../../src/commands/import-netbox.js'
import { importNetbox } from '../../src/netbox/import.js'
import { ImportRefused } from '../../src/netbox/report.js'

const ADMINS = '1a36bed9-3bdc-4970-ab66-faf9704e0af4'
const ENGINEERS = 'b2c3d4e5-f6a7-8901-2345-678901bcdef0'
const READERS = 'c3d4e5f6-a7b8-9012-3456-789012cdef01'
const NOT_HEX = 'a1b2c3d4-e5f6-7890-1234-567890abcdefg'

const convert = (text: string, file = 'configuration.py') => importNetbox(Buffer.from(text), file)
const codes = (problems: readonly { readonly code: string }[]) => problems.map(({ code }) => code)
const places = (problems: readonly { readonly line: number, readonly column: number, readonly code: string }[]) =>
  problems.map(({ line, column, code }) => `${line}:${column} ${code}`)
const mapping = (groups: string, flags = '{}') =>
  `SOCIAL_AUTH_PIPELINE_CONFIG = {'AZUREAD_GROUP_MAP': ${groups}, 'AZUREAD_USER_FLAGS_BY_GROUP': ${flags}}\n`

/** Loads what is printed, with the variables that its own header names. */
function load(yaml: string) {
  const env: Record<string, string> = {
    PUBLIC_URL: 'https://auth.example.com',
    DATABASE_URL: 'postgres://gatehouse@db/gatehouse',
    SESSION_SECRET: 'q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv',
    KEY_ENCRYPTION_SECRET: 'z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua',
    ENTRA_CLIENT_SECRET: 'abc~def',
    NETBOX_HOST: 'netbox.example.com',
    COOKIE_DOMAIN: 'example.com',
  }
  const named = [...yaml.matchAll(/^# {3}(\w+) /gm)].map(([, name = '']) => name)
  return loadConfig('gatehouse.yaml', {
    env: Object.fromEntries(named.map((name) => [name, env[name] ?? ADMINS])),
    readFile: () => yaml,
  }).config
}
const rows = (yaml: string) =>
  load(yaml).groupMapping.map(({ entraGroup, groups, staff, superuser }) => [entraGroup, groups, staff, superuser])
const refusal = (text: string | Uint8Array, file = 'configuration.py') => {
  try {
    importNetbox(Buffer.from(text), file)
  } catch (error) {
    return error instanceof ImportRefused ? error.message : error
  }
  return undefined
}

const WHOLE = `"""NetBox."""
from os import environ
SOCIAL_AUTH_AZUREAD_OAUTH2_KEY = '${READERS}'
SOCIAL_AUTH_AZUREAD_OAUTH2_SECRET = 'Zx8Q~very-secret'
SOCIAL_AUTH_AZUREAD_OAUTH2_TENANT_ID = environ.get('AZURE_TENANT')
SOCIAL_AUTH_AZUREAD_OAUTH2_RESOURCE = 'https://graph.microsoft.us/'
REMOTE_AUTH_DEFAULT_GROUPS = ['Everybody']
STAFF = ['${ADMINS}']
SOCIAL_AUTH_PIPELINE_CONFIG = {
    # comments everywhere
    'AZUREAD_GROUP_MAP': {
        '${ADMINS}': 'NetBox Admins',  # Entra: NB-Admins
        '${NOT_HEX}': 'Read Only',
\t"${ENGINEERS}": 'Network ' r'Engineers',
    },
    'AZUREAD_USER_FLAGS_BY_GROUP': dict(is_staff=STAFF, is_superuser=(
        '${ADMINS}',  # on call
        '${READERS}',
    )),
}
`

// proves: refused-rows-shown, resource-read
t.test('a whole configuration', async (t) => {
  const { yaml, problems, warnings } = convert(WHOLE)
  t.strictSame(rows(yaml), [[ADMINS, ['NetBox Admins'], true, true], [ENGINEERS, ['Network Engineers'], false, false], [
    READERS,
    [],
    false,
    true,
  ]])
  t.strictSame(places(problems), ['13:9 guid_not_hex'])
  t.match(problems[0]?.message, /"g"/)
  t.match(yaml, `  # - entraGroup: ${NOT_HEX}\n  #   groups: [Read Only]\n`)
  t.match(yaml, `${ADMINS} # Entra: NB-Admins; on call\n`)
  const { entra, defaultGroups } = load(yaml)
  t.match(entra, { cloud: 'usgov', clientId: READERS, tenantId: ADMINS })
  t.match(yaml, /tenantId: \$\{AZURE_TENANT\}/)
  t.strictSame(defaultGroups, ['Everybody'])
  t.notMatch(JSON.stringify({ yaml, problems, warnings }), /very-secret/)
  t.strictSame(codes(warnings), ['secret_not_copied', 'default_groups_lost'])
  t.strictSame(
    rows(convert(`\uFEFF${WHOLE.replaceAll('\n', '\r\n')}`).yaml),
    rows(yaml),
    'a BOM and CRLF change nothing',
  )
  t.strictSame(places(convert(`\uFEFF${WHOLE.replaceAll('\n', '\r\n')}`).problems), places(problems))
})

// proves: resource-judged
t.test('the settings of all three backends are known', async (t) => {
  for (const prefix of ['AZUREAD_OAUTH2', 'AZUREAD_TENANT_OAUTH2', 'AZUREAD_V2_TENANT_OAUTH2']) {
    const { yaml } = convert(
      `SOCIAL_AUTH_${prefix}_KEY = '${READERS}'\nSOCIAL_AUTH_${prefix}_TENANT_ID = '${ADMINS}'\n` +
        `SOCIAL_AUTH_${prefix}_SECRET = os.environ['AZURE_SECRET']\n${mapping('{}')}`,
    )
    t.match(load(yaml).entra, { clientId: READERS, tenantId: ADMINS }, prefix)
    t.match(yaml, /clientSecret: \$\{AZURE_SECRET\}/)
  }
  for (const tenant of ['common', 'contoso.onmicrosoft.com', 'consumers']) {
    const { yaml, warnings } = convert(`SOCIAL_AUTH_AZUREAD_OAUTH2_TENANT_ID = '${tenant}'\n`)
    t.ok(codes(warnings).includes('id_unusable'), tenant)
    t.match(yaml, /tenantId: \$\{ENTRA_TENANT_ID\} # REPLACE/)
    t.ok(load(yaml))
  }
  t.ok(
    codes(convert('SOCIAL_AUTH_AZUREAD_OAUTH2_RESOURCE = "https://graph.windows.net"\n').warnings).includes(
      'resource_unknown',
    ),
  )
})

// proves: missing-half-warned
t.test('a missing half is read as empty, with its line', async (t) => {
  const flagsAlone = convert(
    `\nSOCIAL_AUTH_PIPELINE_CONFIG = {'AZUREAD_USER_FLAGS_BY_GROUP': {'is_staff': ['${ADMINS}']}, 'OTHER': 1}\n`,
  )
  t.strictSame(rows(flagsAlone.yaml), [[ADMINS, [], true, false]])
  t.match(flagsAlone.warnings.filter(({ code }) => code === 'setting_missing'), [{
    line: 2,
    path: 'SOCIAL_AUTH_PIPELINE_CONFIG.AZUREAD_GROUP_MAP',
  }])
  t.ok(codes(flagsAlone.warnings).includes('setting_unknown'))
  t.ok(
    codes(convert(`SOCIAL_AUTH_PIPELINE_CONFIG = {'AZUREAD_GROUP_MAP': {'${ADMINS}': 'A'}}`).warnings).includes(
      'setting_missing',
    ),
  )
})

// proves: python-keys-once
t.test('what Python and NetBox do silently is said', async (t) => {
  const twice = convert(mapping(`{\n'${ADMINS}': 'First',\n'${ADMINS}': 'Second'}`))
  t.strictSame([rows(twice.yaml), places(twice.warnings.filter(({ code }) => code === 'key_repeated'))], [[[
    ADMINS,
    ['Second'],
    false,
    false,
  ]], ['3:1 key_repeated']])
  const byCase = convert(mapping(`{'${ADMINS}': 'A', '${ADMINS.toUpperCase()}': 'B'}`))
  t.strictSame(rows(byCase.yaml), [[ADMINS, ['A', 'B'], false, false]])
  t.ok(codes(byCase.warnings).includes('id_case'))
})

t.test('what is no literal is reported with its place and never run', async (t) => {
  const mark = join(tmpdir(), `gatehouse-pwned-${process.pid}`)
  const trick = `__import__('os').system('touch ${mark}')`
  for (
    const value of [
      trick,
      `f'{${trick}}'`,
      'b"A"',
      '"%s" % 1',
      'NAME',
      'lambda: 1',
      '[x for x in (1,)]',
      'None',
      '1',
      '["A"]',
      '"\\N{BULLET}"',
    ]
  ) {
    const { yaml, problems } = convert(mapping(`{\n  '${ADMINS}': ${value},\n  '${READERS}': 'Kept'}`))
    t.strictSame(places(problems).map((place) => place.split(' ')[0]), ['2:43'], value)
    t.strictSame(rows(yaml), [[READERS, ['Kept'], false, false]])
  }
  t.notOk(existsSync(mark))
  for (
    const flags of [
      `{'is_staff': '${ADMINS}'}`,
      "{'is_staff': load()}",
      "{'is_staff': [1]}",
      `{KEY: ['${ADMINS}']}`,
      'FLAGS',
      '[]',
    ]
  ) t.equal(convert(mapping('{}', flags)).problems.length, 1, flags)
})

// proves: no-counterpart-named
t.test('settings without a counterpart are named with their place, and left out', async (t) => {
  const names = [
    'SOCIAL_AUTH_USERNAME_IS_FULL_EMAIL',
    'SOCIAL_AUTH_CLEAN_USERNAMES',
    'SOCIAL_AUTH_SLUGIFY_USERNAMES',
    'SOCIAL_AUTH_FORCE_EMAIL_LOWERCASE',
    'SOCIAL_AUTH_PROTECTED_USER_FIELDS',
    'SOCIAL_AUTH_IMMUTABLE_USER_FIELDS',
    'SOCIAL_AUTH_AZUREAD_OAUTH2_WHITELISTED_DOMAINS',
    'SOCIAL_AUTH_INACTIVE_USER_URL',
    'REMOTE_AUTH_OF_TOMORROW',
  ]
  const { yaml, problems, warnings } = convert(
    `${mapping(`{'${ADMINS}': 'A'}`)}${names.map((name) => `${name} = True\n`).join('')}`,
  )
  t.strictSame(
    warnings.filter(({ code }) => code === 'setting_unknown').map(({ line, path }) => [line, path]),
    names.map((name, index) => [index + 2, name]),
  )
  t.strictSame({ problems, rows: rows(yaml) }, { problems: [], rows: [[ADMINS, ['A'], false, false]] })
})

// proves: adv-import-defaults-kept
t.test('a default of environ.get is kept, but never a secret', async (t) => {
  const { yaml, warnings } = convert(`
SOCIAL_AUTH_AZUREAD_OAUTH2_TENANT_ID = environ.get('AZ_TENANT', '${ADMINS}')
SOCIAL_AUTH_AZUREAD_OAUTH2_KEY = os.getenv('AZ_KEY', default='${READERS.toUpperCase()}')
SOCIAL_AUTH_AZUREAD_OAUTH2_SECRET = os.environ.get('AZ_SECRET', 'Zx8Q~very-secret')
${mapping(`{'${ADMINS}': 'A'}`)}`)
  t.match(yaml, `tenantId: \${AZ_TENANT:-${ADMINS}}\n`)
  t.match(yaml, `clientId: \${AZ_KEY:-${READERS}}\n`)
  t.match(yaml, /clientSecret: \$\{AZ_SECRET\}\n/)
  t.match(load(yaml.replaceAll(/^# {3}AZ_(?:TENANT|KEY) .*\n/gm, '')).entra, { tenantId: ADMINS, clientId: READERS })
  t.notMatch(JSON.stringify({ yaml, warnings }), /very-secret/)
  t.strictSame(places(warnings), ['4:37 secret_not_copied'])
  for (
    const [written, code] of [['None', []], ["''", []], ["'common'", ['id_unusable']], ['load()', [
      'id_unusable',
    ]]] as const
  ) {
    const { yaml, warnings } = convert(`SOCIAL_AUTH_AZUREAD_OAUTH2_TENANT_ID = environ.get('AZ_TENANT', ${written})\n`)
    t.match(yaml, /tenantId: \$\{AZ_TENANT\}\n/, written)
    t.strictSame(codes(warnings).filter((each) => each === 'id_unusable'), code, written)
  }
})

/** What NetBox's own configuration_example.py says of its login. */
const TEMPLATE = `
LOGIN_PERSISTENCE = False
LOGIN_TIMEOUT = None
LOGIN_FORM_HIDDEN = False
LOGOUT_REDIRECT_URL = 'home'
REMOTE_AUTH_ENABLED = False
REMOTE_AUTH_BACKEND = 'netbox.authentication.RemoteUserBackend'
REMOTE_AUTH_HEADER = 'HTTP_REMOTE_USER'
REMOTE_AUTH_USER_FIRST_NAME = 'HTTP_REMOTE_USER_FIRST_NAME'
REMOTE_AUTH_USER_LAST_NAME = 'HTTP_REMOTE_USER_LAST_NAME'
REMOTE_AUTH_USER_EMAIL = 'HTTP_REMOTE_USER_EMAIL'
REMOTE_AUTH_AUTO_CREATE_USER = True
REMOTE_AUTH_DEFAULT_GROUPS = []
REMOTE_AUTH_DEFAULT_PERMISSIONS = {}
`
const BACKEND = `SOCIAL_AUTH_AZUREAD_OAUTH2_KEY = '${READERS}'\nSOCIAL_AUTH_AZUREAD_OAUTH2_TENANT_ID = '${ADMINS}'\n`

// proves: adv-import-drops-named
t.test("values of NetBox's template are left out silently, other ones with their place", async (t) => {
  const plain = `${BACKEND}${mapping(`{'${ADMINS}': 'A'}`)}`
  t.strictSame(convert(`${plain}${TEMPLATE}`).warnings, [])
  const changed = {
    LOGIN_REQUIRED: 'False',
    LOGIN_TIMEOUT: 'int(x)',
    LOGOUT_REDIRECT_URL: '"/bye/"',
    REMOTE_AUTH_HEADER: '"HTTP_X_USER"',
    REMOTE_AUTH_DEFAULT_PERMISSIONS: '{"dcim.view_site": None}',
    REMOTE_AUTH_SUPERUSER_GROUPS: '["A"]',
    REMOTE_AUTH_SUPERUSERS: '["ann"]',
    REMOTE_AUTH_STAFF_GROUPS: '["A"]',
    REMOTE_AUTH_AUTO_CREATE_GROUPS: 'True',
  }
  const settings = Object.entries(changed).map(([name, value]) => `${name} = ${value}\n`).join('')
  const { warnings } = convert(`${settings}${plain}`)
  t.strictSame(
    warnings.map(({ line, path, code }) => [line, path, code]),
    Object.keys(changed).map((name, index) => [index + 1, name, 'setting_replaced']),
  )
})

// proves: adv-import-session-times
t.test("the times of NetBox's sessions become those of Gatehouse's", async (t) => {
  const hour = 3_600_000
  for (
    const [settings, idle, absolute, code] of [
      ['LOGIN_TIMEOUT = 900', hour / 4, hour / 4, undefined],
      ['LOGIN_TIMEOUT = 60 * 60 * 12', 12 * hour, 12 * hour, undefined],
      ['LOGIN_TIMEOUT = 1_209_600', 336 * hour, 336 * hour, undefined],
      ['LOGIN_TIMEOUT = 1801\nLOGIN_PERSISTENCE = True', 1_801_000, 24 * hour, 'timeout_added'],
      ['LOGIN_TIMEOUT = 60 * 86400\nLOGIN_PERSISTENCE = True', 1440 * hour, 1440 * hour, 'timeout_added'],
      ['LOGIN_TIMEOUT = 365 * 86400', 2160 * hour, 2160 * hour, 'timeout_shortened'],
      ['LOGIN_TIMEOUT = None', 8 * hour, 24 * hour, undefined],
      ['LOGIN_PERSISTENCE = True', 8 * hour, 24 * hour, 'setting_replaced'],
      ['LOGIN_TIMEOUT = "900"', 8 * hour, 24 * hour, 'setting_replaced'],
      ['if DEBUG:\n  LOGIN_TIMEOUT = 900', 8 * hour, 24 * hour, 'setting_replaced'],
    ] as const
  ) {
    const { yaml, warnings } = convert(`${BACKEND}${mapping('{}')}${settings}\n`)
    const { idleTimeoutMs, absoluteTimeoutMs } = load(yaml).session
    t.strictSame({ idleTimeoutMs, absoluteTimeoutMs }, { idleTimeoutMs: idle, absoluteTimeoutMs: absolute }, settings)
    t.strictSame(codes(warnings), code === undefined ? [] : [code], settings)
  }
})

// proves: adv-import-is-a-gateway
t.test("prints a gateway for NetBox: its host, domain, access rule, groups and NetBox's settings", async (t) => {
  const text = `REMOTE_AUTH_DEFAULT_GROUPS = ['Everybody']\n${
    mapping(`{'${ADMINS}': 'Büro', '${READERS}': 'A', '${NOT_HEX}': 'B'}`)
  }`
  const { yaml, groups, netbox } = convert(text)
  t.strictSame(parse(groups), {
    groups: ['Büro', 'A', 'Everybody'].map((name) => ({ name, permissions: ['netbox.view'] })),
  })
  const { server, session, access } = load(yaml)
  t.strictSame(server.redirectDomains, ['netbox.example.com'])
  t.equal(session.cookieDomain, 'example.com')
  t.match(access.rules, [{ hosts: ['netbox.example.com'], allow: { permissions: ['netbox.view'] } }])
  t.match(yaml, /^# {3}NETBOX_HOST .*\n# {3}COOKIE_DOMAIN /m)
  t.match(netbox, /^REMOTE_AUTH_BACKEND = 'gatehouse_netbox\.backend\.AssertionBackend'$/m)
  t.match(netbox, /^ {8}'audience': 'netbox\.example\.com', {2}# REPLACE/m)

  const known = convert(`ALLOWED_HOSTS = ['NetBox.example.com', 'localhost', '10.0.0.7', '*']\n${text}`)
  t.match(load(known.yaml), {
    server: { redirectDomains: ['netbox.example.com'] },
    session: { cookieDomain: 'example.com' },
  })
  t.notMatch(known.yaml, /NETBOX_HOST|COOKIE_DOMAIN/)
  t.match(known.netbox, /^ {8}'audience': 'netbox\.example\.com', {2}# the host of NetBox$/m)
  t.match(convert(`ALLOWED_HOSTS = ['netbox.com']\n${text}`).yaml, /cookieDomain: \$\{COOKIE_DOMAIN\}/)
  t.match(
    convert(`ALLOWED_HOSTS = ['a.example.com', 'b.example.com']\n${text}`).yaml,
    /redirectDomains: \["\$\{NETBOX_HOST\}"\]/,
  )
})

t.test('a mapping that code changes afterwards does not pass for the whole', async (t) => {
  const literal = mapping(`{'${ADMINS}': 'A'}`)
  const half = [
    'SOCIAL_AUTH_PIPELINE_CONFIG["AZUREAD_GROUP_MAP"].update(more)',
    'if DEBUG:\n  SOCIAL_AUTH_PIPELINE_CONFIG = {}',
    'for x in y:\n  SOCIAL_AUTH_PIPELINE_CONFIG[x] = 1',
    'from other import SOCIAL_AUTH_PIPELINE_CONFIG',
    'SOCIAL_AUTH_PIPELINE_CONFIG |= {}',
    'del SOCIAL_AUTH_PIPELINE_CONFIG["x"]',
    'patch(SOCIAL_AUTH_PIPELINE_CONFIG)',
  ]
  for (const code of half) t.strictSame(codes(convert(`${literal}${code}\n`).problems), ['not_a_dict'], code)
  t.strictSame(rows(convert(`${literal}SOCIAL_AUTH_PIPELINE_CONFIG['AZUREAD_GROUP_MAP']['${READERS}'] = 'B'\n`).yaml), [
    [ADMINS, ['A'], false, false],
    [READERS, ['B'], false, false],
  ])
  const shared = convert(`M = {'${ADMINS}': 'A'}\n${mapping('M')}M['${READERS}'] = 'B'\nX = {**M}\n`)
  t.strictSame(
    { rows: rows(shared.yaml).length, problems: shared.problems.length },
    { rows: 2, problems: 0 },
    'one object under two names',
  )
})

t.test('names come through as they are', async (t) => {
  const names = [
    'Ops # 1',
    "it's",
    'a "b"',
    'key: value',
    '- x',
    '🦊 é 日本',
    // eslint-disable-next-line no-template-curly-in-string -- a name that looks like a variable
    '${HOME} $${A} $$',
    'true',
    '007',
    '{a}',
    '*x',
    '@',
    'a\\b',
    'null',
    '%',
    '| >',
    'x'.repeat(150),
  ]
  const list = names.map((name, index) =>
    `'${String(index).padStart(8, '0')}-0000-0000-0000-000000000001': ${JSON.stringify(name)},`
  ).join('\n')
  const { yaml, problems } = convert(mapping(`{${list}}`))
  t.strictSame(load(yaml).groupMapping.flatMap(({ groups }) => groups), names)
  t.strictSame(problems, [])
  t.strictSame(
    rows(
      convert(mapping(`{'${ADMINS}': """Caf\\u00e9 \\x41\\101 \\U0001F98A \\
end \\d"""}`)).yaml,
    ),
    [[ADMINS, ['Café AA 🦊 end \\d'], false, false]],
  )
  for (const bad of ['a,b', '', ' a', 'a\\nb', 'a\\u200bb', '\\ud800', 'x'.repeat(151)]) {
    const refused = convert(mapping(`{'${ADMINS}': '${bad}'}`))
    t.equal(refused.problems.length, 1, bad)
    t.strictSame(rows(refused.yaml), [[ADMINS, [], false, false]])
  }
  const hostile = convert(mapping(`{'x\\ny: 1': 'A', '${'y'.repeat(5000)}': 'B'}`, `{'is_staff': ['${ADMINS}']}`))
  t.strictSame(
    [rows(hostile.yaml), hostile.problems.length],
    [[[ADMINS, [], true, false]], 2],
    'an id cannot leave its comment',
  )
})

t.test('the pipeline', async (t) => {
  const steps = [
    'social_core.pipeline.social_auth.social_details',
    'social_core.pipeline.social_auth.social_uid',
    'social_core.pipeline.social_auth.social_user',
    'social_core.pipeline.user.get_username',
    'social_core.pipeline.social_auth.associate_by_email',
    'social_core.pipeline.user.create_user',
    'social_core.pipeline.social_auth.associate_user',
    'netbox.authentication.user_default_groups_handler',
    'social_core.pipeline.social_auth.load_extra_data',
    'social_core.pipeline.user.user_details',
    'netbox.authentication.azuread_map_groups',
  ]
  const pipeline = (list: readonly string[]) =>
    convert(`SOCIAL_AUTH_PIPELINE = (\n${list.map((step) => `'${step}',\n`).join('')})\n`)
  const has = (list: readonly string[], code: string) => codes(pipeline(list).warnings).includes(code)
  t.notOk(has(steps, 'pipeline_differs'))
  for (const other of [steps.toReversed(), steps.slice(1), [...steps, steps[0] ?? '']]) {
    t.ok(has(other, 'pipeline_differs'))
  }
  const extra = pipeline([...steps, 'acme.notify'])
  t.match(extra.warnings.find(({ code }) => code === 'step_unknown'), { line: 13, column: 1 })
  t.match(extra.yaml, /# - left out: "acme\.notify"/)
  for (const list of [steps, steps.toReversed(), ['acme.notify']]) {
    t.equal(load(pipeline(list).yaml).pipeline.at(-1), 'azuread_map_groups')
  }
})

// proves: table-flags
t.test('the table of NetBox Cloud', async (t) => {
  const markdown =
    `# Groups\n\n| Entra ID Group Object ID | NetBox Cloud Group | Staff | Super User |\n|---|:--:|---|---|\n` +
    `| \`${ADMINS}\` | Admins \\| Ops | Yes | ✓ |\n` +
    `| ${ENGINEERS} |  | x | |\n| ${NOT_HEX} | A | maybe | no |\n\nThe end.\n`
  for (const [file, text] of [['t.md', markdown], ['t', markdown], ['t', markdown.replaceAll('\n', '\r\n')]] as const) {
    const { yaml, problems } = convert(text, file)
    t.strictSame(rows(yaml), [[ADMINS, ['Admins | Ops'], true, true], [ENGINEERS, [], true, false]])
    t.strictSame(places(problems), ['7:3 guid_not_hex', '7:47 flag_unclear'])
  }
  for (const separator of [',', ';', '\t']) {
    const rowsWithCommas = `\uFEFF"Entra ID Group Object ID",NetBox Cloud Group,Staff,Super User\r\n` +
      `${ADMINS},"The ""A""",TRUE,\r\n${ENGINEERS},,,1\r\n\r\nx,"two\nlines",n,-\r\n${ENGINEERS},B,,\r\n`
    const csv = rowsWithCommas.replaceAll(',', separator)
    const { yaml, problems, warnings } = convert(csv, separator === ',' ? 't.csv' : 'table')
    t.strictSame(rows(yaml), [[ADMINS, ['The "A"'], true, false], [ENGINEERS, ['B'], false, true]])
    t.strictSame(places(problems), ['5:1 guid_display_name', '5:1 group_name_control'])
    t.strictSame(places(warnings.filter(({ code }) => code === 'key_repeated')), ['7:1 key_repeated'])
  }
  t.match(refusal('a,b\n1,2\n', 'x.csv'), /no table/)
})

t.test('a file that cannot be read is refused whole', async (t) => {
  t.match(refusal(''), /is empty/)
  t.match(refusal('\n \n'), /is empty/)
  t.match(refusal('Dear all,\nplease find attached'), /configuration\.py:\d+:\d+: this is not valid Python/)
  t.match(refusal(`${mapping('{}')}X = {`), /configuration\.py:2:\d+: /)
  t.match(refusal('X = "never ends\n'), /:1:5: /)
  t.match(refusal('{"a": 1}'), /nothing of NetBox's login/)
  t.match(refusal(Buffer.from([0x89, 0x50, 0xff, 0xfe])), /UTF-8/)
  t.match(refusal('X = 1\0'), /zero byte/)
  t.match(refusal(`X = ${'['.repeat(100_000)}${']'.repeat(100_000)}`), /100 deep/)
  t.match(refusal(`X = ${'- '.repeat(200_000)}1`), /configuration\.py/)
  const before = Date.now()
  t.match(refusal(Buffer.alloc(10 * 1024 * 1024, '[')), /larger than 2 MB/)
  t.ok(Date.now() - before < 500, 'before it is parsed')
})

t.test('the command', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-netbox-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const run = async (text: string | Uint8Array, json = false) => {
    const file = join(directory, 'configuration.py')
    writeFileSync(file, text)
    // nothing is asserted meanwhile
    const [out, err] = [process.stdout, process.stderr].map((stream) => t.capture(stream, 'write', () => true))
    const status = await command(file, { json }).finally(() => [out, err].forEach((each) => each?.restore()))
    const [stdout = '', stderr = ''] = [out, err].map((each) => each?.args().map(([chunk]) => String(chunk)).join(''))
    return { status, stdout, stderr }
  }
  const { status, stdout, stderr } = await run(WHOLE)
  t.equal(status, 1)
  t.equal(rows(stdout).length, 3)
  const commented = stdout.split('\n').flatMap((line) => /^#\| ?(.*)/.exec(line)?.[1] ?? []).join('\n')
  t.match(
    commented,
    /^groups:\n {2}- name: NetBox Admins\n[^]*^PLUGINS = /m,
    "groups.yaml and NetBox's settings, as comments",
  )
  t.match(stderr, /configuration\.py:13:9: /)
  t.equal((await run(mapping(`{'${ADMINS}': 'A'}`))).status, 0)
  const json = JSON.parse((await run(WHOLE, true)).stdout)
  t.match(json, {
    yaml: String,
    problems: [{ line: 13, column: 9, code: 'guid_not_hex', remedy: String }],
    warnings: [{ code: String }],
  })
  t.equal(rows(json.yaml).length, 3)
  t.notMatch((await run(mapping('{\'\\x1b[31m\': "A"}'))).stderr, '\x1b')
  mkdirSync(join(directory, 'folder'))
  for (const text of ['', 'no Python', Buffer.alloc(10 * 1024 * 1024)]) {
    await t.rejects(run(text), { code: 'file_unreadable' })
  }
  for (const name of ['missing.py', 'folder']) {
    await t.rejects(command(join(directory, name), {}), { code: 'file_unreadable' })
  }
})
