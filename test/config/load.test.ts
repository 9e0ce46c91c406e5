// What an operator can get wrong, and that each mistake is found where it stands. In the tables `¦` marks the places.
/* eslint-disable no-template-curly-in-string -- what the operator writes */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { formatProblem, loadConfig, type LoadedConfig } from '../../src/config/load.js'
import { problemsOf } from '../helpers/config-problems.js'

const ALL_BUT_DETAILS = 'social_uid, social_user, get_username, associate_by_email, create_user, associate_user, ' +
  'user_default_groups_handler, load_extra_data, user_details, azuread_map_groups'
const ID = '8d1f0000-1111-2222-3333-444444444444'
const SECOND_SECRET = 'z4Ge-for-tests-Hm6Tn8Pc1Fy7Gs3Jv9Qe2Ua'
const SECRET = 'q7Wd-for-tests-9Zr4Kd2Lw5Xb8Tn6Pj3Hs1Mv'
const BASE = {
  server: 'server:\n  publicUrl: https://auth.corp.test',
  entra: `entra:\n  tenantId: ${ID}\n  clientId: ${ID}\n  clientSecret: abc~def`,
  database: 'database:\n  url: postgres://u:p@h/db',
  session: `session:\n  secrets: [${SECRET}]`,
  keys: `keys:\n  encryptionSecrets: [${SECRET.toUpperCase()}]`,
  groupMapping: `groupMapping:\n  - entraGroup: ${ID}\n    groups: [Admins]\n    staff: true\n    superuser: true`,
}
type Sections = Partial<Record<keyof typeof BASE | 'rest', string>>

/** A right configuration with some sections replaced, or lines added to them (`+`). */
function yaml(sections: Sections = {}): string {
  const parts = Object.entries({ ...BASE, rest: '', ...sections }).map(([name, text]) =>
    text.startsWith('+') ? `${BASE[name as keyof typeof BASE]}\n  ${text.slice(1)}` : text
  )
  return `${parts.join('\n')}\n`
}

function load(text: string, env: Record<string, string> = {}, files: Record<string, string> = {}): LoadedConfig {
  const all: Record<string, string> = { '/etc/gh/gatehouse.yaml': text, ...files }
  const readFile = (path: string) => {
    const found = all[path]
    if (found === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
    return found
  }
  return loadConfig('/etc/gh/gatehouse.yaml', { env, readFile })
}

const placed = (list: readonly { code: string, line: number, column: number }[]) =>
  list.map(({ code, line, column }) => `${code} ${line}:${column}`)

/** The text without its marks, and the codes with the places that were marked. */
function marked(text: string, codes: readonly string[]): { text: string, expected: string[] } {
  const places: string[] = []
  let [line, column, clean] = [1, 1, '']
  for (const char of text) {
    if (char === '¦') {
      places.push(`${line}:${column}`)
      continue
    }
    clean += char
    if (char === '\n') {
      line += 1
      column = 1
    } else column += 1
  }
  return { text: clean, expected: codes.map((code, index) => `${code} ${places[index] ?? '1:1'}`) }
}

const OTHER = '9d1f0000-1111-2222-3333-444444444444'
const rows = (...lines: string[]) => ({
  groupMapping: `groupMapping:\n${
    lines.map((line) => `  - ${line}`).join('\n')
  }\n  - { entraGroup: ${ID}, staff: true, superuser: true }`,
})
const server = (line: string): Sections => ({ server: `+${line}` })
const entra = (line: string): Sections => ({ entra: `+${line}` })
const session = (line: string): Sections => ({ session: `+${line}` })
const publicUrl = (value: string): Sections => ({ server: `server:\n  publicUrl: ¦${value}` })
const rule = (line: string): Sections => ({ rest: `access:\n  rules:\n    - ${line}` })
const rules = (...lines: string[]): Sections => ({
  rest: `access:\n  rules:\n${lines.map((line) => `    - ${line}`).join('\n')}`,
})
const extra = (...lines: string[]): Sections => ({
  rest: `headers:\n  extra:\n${lines.map((line) => `    - ${line}`).join('\n')}`,
})
const rest = (text: string): Sections => ({ rest: text })

const REFUSED: Record<string, [Sections, ...string[]]> = {
  'a syntax error': [rest('access: ¦]'), 'yaml_syntax'],
  'a tab': [{ keys: `keys:\n¦\tencryptionSecrets: [${SECRET}]` }, 'yaml_syntax'],
  'a quote that is never closed, where it opens': [rest('username: ¦"upn\naudit: {}'), 'yaml_syntax'],
  'a variable without quotes in [ ]': [{ session: 'session:\n  secrets: [¦${S}]' }, 'yaml_syntax'],
  'an unknown tag': [rest('username: ¦!secret upn'), 'yaml_tag'],
  'an alias to nothing': [rest('username: ¦*nobody'), 'yaml_alias'],
  'a merge of no map': [{ server: '+¦<<: nothing' }, 'yaml_merge'],
  'a second document': [rest('---\n¦server: {}'), 'documents_several'],
  'a duplicate key': [rest('username: upn\n¦username: email'), 'key_duplicate'],
  'an unknown key': [server('¦publicURI: x'), 'key_unknown'],
  'an unknown section': [rest('¦sessions: {}'), 'key_unknown'],
  'a section without its required key': [{ server: '¦server:\n  port: 80' }, 'key_missing'],
  'a section that is missing': [{ entra: '' }, 'key_missing'],
  'a key without a value': [server('contact:¦'), 'value_missing'],
  'text where keys belong': [rest('access: ¦deny'), 'type_wrong'],
  'text where a list belongs': [server('redirectDomains: ¦.corp.test'), 'type_wrong'],
  'text where a number belongs': [server('port: ¦"4180"'), 'type_wrong'],
  'a number where text belongs': [server('contact: ¦123'), 'type_wrong'],
  'yes for true': [rest('requireMappedGroup: ¦yes'), 'type_wrong'],
  'an empty text': [server('contact: ¦""'), 'value_empty'],
  'a long text': [server(`contact: ¦${'x'.repeat(201)}`), 'value_long'],
  'a control character': [server('contact: ¦"a\\u0007b"'), 'text_control'],
  'a number out of bounds': [server('port: ¦65536'), 'number_range'],
  'an authentication context by its name': [rest('admin:\n  acrs: ¦MFA'), 'authentication_context_invalid'],
  'an authentication context of 100': [rest('admin:\n  acrs: ¦c100'), 'authentication_context_invalid'],
  'an authentication context of 0': [rest('admin:\n  acrs: ¦c0'), 'authentication_context_invalid'],
  'a word that is none of the choices': [rest('username: ¦UPN'), 'value_unknown'],
  'a list that may not be empty': [{ session: 'session:\n  secrets: ¦[]' }, 'list_empty'],
  'a variable that is not set': [server('contact: ¦${NOBODY}'), 'env_unset'],
  'a malformed reference': [server('contact: ¦"${NO BODY}"'), 'env_malformed'],
  'a reference that does not end': [server('contact: ¦"${NOBODY"'), 'env_malformed'],
  'nested references': [server('contact: ¦"${A:-${B}}"'), 'env_malformed'],
  'a variable that is no number': [server('port: ¦${WORD}'), 'type_wrong'],

  'a public address that is none': [publicUrl('auth.corp.test'), 'origin_invalid'],
  'a public address with a user': [publicUrl('https://a@auth.corp.test'), 'origin_invalid'],
  'a public address with a path': [publicUrl('https://auth.corp.test/login'), 'origin_path'],
  'a public address with a query': [publicUrl('https://auth.corp.test?x'), 'origin_path'],
  'http in public': [publicUrl('http://auth.corp.test'), 'origin_https'],
  'a port in host': [server('host: ¦127.0.0.1:80'), 'host_invalid'],
  'management on the public port': [server('management: { port: ¦4180, host: 0.0.0.0 }'), 'management_port'],
  'networks that are none': [
    server('trustedProxies: [¦10.0.0.0/33, ¦localhost, ¦10.0.0, ¦fe80::1%eth0/64]'),
    ...Array<string>(4).fill('network_invalid'),
  ],
  'redirect domains that are none': [
    server('redirectDomains: [¦"*.corp.test", ¦https://corp.test, ¦"corp.test:0", ¦"a b"]'),
    ...Array<string>(4).fill('redirect_domain_invalid'),
  ],
  'a redirect domain anybody may be under': [
    server('redirectDomains: [¦.co.uk, ¦.github.io]'),
    'redirect_domain_suffix',
    'redirect_domain_suffix',
  ],

  'a domain for a tenant': [
    { entra: `entra: { tenantId: ¦corp.onmicrosoft.com, clientId: ${ID}, clientSecret: x }` },
    'tenant_invalid',
  ],
  'personal accounts': [
    { entra: `entra: { tenantId: ¦consumers, clientId: ${ID}, clientSecret: x }` },
    'tenant_invalid',
  ],
  'any tenant': [{ entra: `entra: { tenantId: ¦common, clientId: ${ID}, clientSecret: x }` }, 'tenants_open'],
  'tenants that do not count': [entra(`allowedTenants: ¦[${ID}]`), 'tenants_unused'],
  'a number for an id': [{ entra: `entra: { tenantId: ${ID}, clientId: ¦1234, clientSecret: x }` }, 'guid_invalid'],
  'an id in braces': [{ entra: `entra: { tenantId: ${ID}, clientId: ¦"{${ID}}", clientSecret: x }` }, 'guid_invalid'],
  'no credential': [{ entra: `¦entra: { tenantId: ${ID}, clientId: ${ID} }` }, 'credential_missing'],
  'two credentials': [entra('federatedTokenFile: ¦¦token'), 'path_unreadable', 'credential_several'],
  'http for Entra': [entra('authorityHost: ¦http://127.0.0.1:9000'), 'http_not_allowed'],
  'http for Graph in public': [entra('allowHttp: true\n  graphUrl: ¦http://graph.corp.test'), 'http_public'],
  'a Graph address with a path': [entra('graphUrl: ¦https://graph.microsoft.com/v1.0'), 'origin_path'],
  'certificates that cannot be read': [entra('caFile: ¦nowhere.pem'), 'path_unreadable'],
  'a login budget without a unit': [entra('loginBudget: ¦15'), 'duration_invalid'],
  'a login budget out of bounds': [entra('loginBudget: ¦1h'), 'duration_range'],

  'workers that are no number': [server('workers: ¦all'), 'type_wrong'],
  'half a worker': [server('workers: ¦1.5'), 'type_wrong'],
  'no workers': [server('workers: ¦0'), 'number_range'],
  'too many workers': [server('workers: ¦65'), 'number_range'],
  'a pool too small for its workers': [
    {
      ...server('workers: 4'),
      database: 'database: { url: postgres://gatehouse:password@db.corp.test/gatehouse, poolSize: ¦7 }',
    },
    'pool_small',
  ],
  'too many workers for the usual pool': [server('workers: ¦6'), 'pool_small'],
  'no database': [{ database: '¦database: { poolSize: 3 }' }, 'database_none'],
  'no database section': [{ database: '' }, 'database_none'],
  'two databases': [{ database: 'database: { url: ¦postgres://h/db, embedded: true }' }, 'database_both'],
  'one server twice': [{ database: 'database: { url: ¦"postgres://a:1,a:1/db" }' }, 'database_url_invalid'],
  'a wrong port in a list': [{ database: 'database: { url: ¦"postgres://a,b:70000/db" }' }, 'database_url_invalid'],
  'a standby for a database': [
    { database: 'database: { url: ¦"postgres://a,b/db?target_session_attrs=standby" }' },
    'database_url_invalid',
  ],
  'several poolers': [
    { database: 'database: { url: "postgres://a,b/db", directUrl: ¦postgres://c/db }' },
    'database_direct_hosts',
  ],
  'a direct address of the embedded database': [
    { database: 'database: { embedded: true, directUrl: ¦postgres://c/db }' },
    'database_direct_unused',
  ],
  'another database': [{ database: 'database: { url: ¦mysql://h/db }' }, 'database_url_invalid'],

  'a short secret': [{ session: 'session:\n  secrets: [¦tooshort]' }, 'secret_short'],
  'the secret of the example': [{ keys: `keys:\n  encryptionSecrets: [¦replace-me-${SECRET}]` }, 'secret_placeholder'],
  'one secret for two purposes': [
    { keys: `keys:\n  encryptionSecrets: [${SECOND_SECRET}, ¦${SECRET}]` },
    'secret_shared',
  ],
  'a cookie for a public suffix': [session('cookieDomain: ¦.co.uk'), 'cookie_domain_suffix'],
  'a cookie for a private suffix': [session('cookieDomain: ¦github.io'), 'cookie_domain_suffix'],
  'a cookie for a single label': [session('cookieDomain: ¦.test'), 'cookie_domain_suffix'],
  'a cookie for an address': [session('cookieDomain: ¦127.0.0.1'), 'cookie_domain_ip'],
  'a cookie for no domain': [session('cookieDomain: ¦https://corp.test'), 'cookie_domain_invalid'],
  'a cookie for somebody else': [session('cookieDomain: ¦.orp.test'), 'cookie_domain_parent'],
  'idle longer than absolute': [session('idleTimeout: ¦25h'), 'timeout_order'],
  'privileged longer than absolute': [session('absoluteTimeout: 8h\n  privilegedTimeout: ¦9h'), 'timeout_order'],

  'a display name': [rows('entraGroup: ¦Network Engineers\n    groups: [A]'), 'guid_display_name'],
  'a sample id that is not hex': [
    rows('{ entraGroup: ¦a1b2c3d4-e5f6-7890-1234-567890abcdefg, staff: true }'),
    'guid_not_hex',
  ],
  'a sample id that ends in bcdefg': [
    rows('{ entraGroup: ¦b2c3d4e5-f6a7-8901-2345-678901bcdefg, staff: true }'),
    'guid_not_hex',
  ],
  'an id with a digit too many': [rows(`{ entraGroup: ¦${OTHER}4, staff: true }`), 'guid_invalid'],
  'an id with a space at its end': [rows(`{ entraGroup: ¦"${OTHER} ", staff: true }`), 'guid_invalid'],
  'an Entra group in two rows, in another case': [
    rows(`{ entraGroup: ${OTHER}, staff: true }`, `{ entraGroup: ¦${OTHER.toUpperCase()}, staff: true }`),
    'mapping_duplicate',
  ],
  'a row without its group': [rows('¦{ staff: true }'), 'key_missing'],
  'a group twice in a row': [rows(`{ entraGroup: ${OTHER}, groups: [A, B, ¦A] }`), 'group_repeated'],
  'a comma in a name': [rows(`{ entraGroup: ${OTHER}, groups: [¦"A, B"] }`), 'group_name_separator'],
  'a space at the end of a name': [rows(`{ entraGroup: ${OTHER}, groups: [¦"A "] }`), 'group_name_spaces'],
  'a control character in a name': [rows(`{ entraGroup: ${OTHER}, groups: [¦"A\\tB"] }`), 'group_name_control'],
  'a name that is too long': [rows(`{ entraGroup: ${OTHER}, groups: [¦${'a'.repeat(151)}] }`), 'group_name_long'],
  'an empty name': [rest('defaultGroups: [¦""]'), 'value_empty'],
  'a number for a name': [rest('defaultGroups: [¦7]'), 'type_wrong'],

  'a step nobody knows': [rest('pipeline: [¦social_detail, azuread_map_groups]'), 'step_unknown'],
  'a custom step without ./': [rest('pipeline: [¦my-step.js, azuread_map_groups]'), 'step_path'],
  'a step twice': [rest(`pipeline: [social_details, ¦social_details, ${ALL_BUT_DETAILS}]`), 'step_repeated'],
  'no mapping step': [
    rest(`¦pipeline: [social_details, ${ALL_BUT_DETAILS.replace(', azuread_map_groups', '')}]`),
    'mapping_step_missing',
  ],
  'a step behind the mapping': [
    rest(`pipeline: [¦azuread_map_groups, social_details, ${ALL_BUT_DETAILS.replace(', azuread_map_groups', '')}]`),
    'mapping_step_not_last',
  ],
  'a pipeline without what a login needs': [rest('¦pipeline: [social_details, azuread_map_groups]'), 'step_missing'],
  'a step before what it builds on': [
    rest(
      `pipeline: [${
        ALL_BUT_DETAILS.replace('social_user, get_username', '¦get_username, social_user').replace(
          ', azuread_map_groups',
          '',
        ).replace('social_uid, ', 'social_uid, social_details, ')
      }, azuread_map_groups]`,
    ),
    'step_order',
  ],
  'authAllowed without its step': [rest('¦authAllowed: { guests: false }'), 'auth_allowed_missing'],

  'a name of a rule with a control character': [
    rule('{ name: ¦"A\\u200bB", hosts: [a.corp.test], allow: deny }'),
    'rule_name_invisible',
  ],
  'a name of a rule that is a space': [
    rule('{ name: ¦" ", hosts: [a.corp.test], allow: deny }'),
    'rule_name_invisible',
  ],
  'an empty name of a rule': [rule('{ name: ¦"", hosts: [a.corp.test], allow: deny }'), 'value_empty'],
  'a name of a rule that is too long': [
    rule(`{ name: ¦${'é'.repeat(81)}, hosts: [a.corp.test], allow: deny }`),
    'value_long',
  ],
  'names of rules that are numbers or keys': [
    rules(
      '{ name: ¦"7", hosts: [a.corp.test], allow: deny }',
      '{ name: ¦access.default, hosts: [a.corp.test], allow: deny }',
    ),
    'rule_name_key',
    'rule_name_key',
  ],
  'a shadow rule that is said otherwise': [
    rules(
      '{ hosts: [a.corp.test], allow: deny, enforce: ¦"no" }',
      '{ hosts: [a.corp.test], allow: deny, ¦shadow: true }',
    ),
    'type_wrong',
    'key_unknown',
  ],
  'a rule without hosts': [rule('¦{ allow: anyone }'), 'key_missing'],
  'a rule for nobody known': [rule('{ hosts: [a.corp.test], allow: ¦everyone }'), 'value_unknown'],
  'a rule for people who are not staff': [rule('{ hosts: [a.corp.test], allow: { staff: ¦false } }'), 'value_unknown'],
  'host patterns that are none': [
    rule('{ hosts: [¦.corp.test, ¦"*", ¦"a.*.test", ¦"a:*"], allow: anyone }'),
    ...Array<string>(4).fill('host_pattern_invalid'),
  ],
  'methods that are none': [
    rule('{ hosts: [a.corp.test], methods: [¦get, ¦FETCH], allow: anyone }'),
    'method_invalid',
    'method_invalid',
  ],
  'paths that are none': [
    rule(
      '{ hosts: [a.corp.test], paths: [¦admin, ¦"/a?b", ¦/a/../b, ¦/a//b, ¦"/**/x", ¦"/a*", ¦/%61], allow: anyone }',
    ),
    ...Array<string>(7).fill('path_pattern_invalid'),
  ],
  'a permission that is none': [
    rule('{ hosts: [a.corp.test], allow: { permissions: [¦"net box"] } }'),
    'permission_invalid',
  ],
  'a header name that is none': [extra('{ name: ¦"Remote User", value: name }'), 'header_name_invalid'],
  'header names that are taken': [
    extra(
      '{ name: ¦Connection, value: name }',
      '{ name: ¦remote_user, value: name }',
      '{ name: ¦X-Auth-Request-Foo, value: name }',
      '{ name: ¦Set-Cookie, value: name }',
    ),
    ...Array<string>(4).fill('header_name_reserved'),
  ],
  'a header twice': [extra('{ name: X-A, value: name }', '{ name: ¦x_a, value: email }'), 'header_repeated'],
  'separators that are none': [
    extra(
      '{ name: X-A, value: groups, separator: ¦"||" }',
      '{ name: X-B, value: groups, separator: ¦" " }',
      '{ name: X-C, value: groups, separator: ¦"%" }',
    ),
    ...Array<string>(3).fill('separator_invalid'),
  ],
  'several tenants together with sync': [{
    entra: `entra: { tenantId: organizations, allowedTenants: [${ID}], clientId: ${ID}, clientSecret: x }`,
    ...rest('¦sync: {}'),
  }, 'sync_several_tenants'],
  'times of the sync in disorder': [rest('sync: { interval: ¦2h }'), 'timeout_order'],
}

// proves: mapping-last, gate-wants-its-step, hex-alone, display-names-refused, ids-lowered, ids-not-trimmed
// proves: names-not-trimmed, no-control-characters, rows-once, yaml-keys-once, any-tenant-refused
// proves: policy-rule-name-visible, policy-rule-name-no-key
t.test('every problem is reported at its line and column', async (t) => {
  for (const [name, [sections, ...codes]] of Object.entries(REFUSED)) {
    const { text, expected } = marked(yaml(sections), codes)
    t.strictSame(placed(problemsOf(() => load(text, { WORD: 'word' }))), expected, name)
  }
})

t.test('ten mistakes in one file are reported together', async (t) => {
  const { text, expected } = marked(
    `server:
  publicUrl: ¦http://auth.corp.test
  prot: 80
entra:
  tenantId: ¦corp
  clientId: ${ID}
  clientSecret: ¦\${NOBODY}
database: { url: ¦sqlite://x }
session:
  secrets: [¦short]
  idleTimeout: ¦8
keys: { encryptionSecrets: [${SECRET}] }
groupMapping:
  - entraGroup: ¦Admins
    groups: [¦"A,B"]
username: ¦mail
`.replace('  prot', '  ¦prot'),
    [
      'origin_https',
      'key_unknown',
      'guid_invalid',
      'env_unset',
      'database_url_invalid',
      'secret_short',
      'duration_invalid',
      'guid_display_name',
      'group_name_separator',
      'value_unknown',
    ],
  )
  t.strictSame(placed(problemsOf(() => load(text))), expected)
})

t.test('a syntax error does not hide problems before it or in the sections after it', async (t) => {
  const { text, expected } = marked(
    yaml({ server: '+port: ¦x', rest: 'reservedUsernames: [¦${X}]\nlog:\n  level: ¦loud\naccess: ¦]\nnonsense: 1' }),
    ['type_wrong', 'yaml_syntax', 'value_unknown', 'yaml_syntax'],
  )
  t.strictSame(placed(problemsOf(() => load(text))), expected)
})

// proves: default-groups-warned, empty-mapping-warned, superuser-without-staff-warned, no-superuser-warned
// proves: sync-staleness-tight, adv-username-email-warned, adv-username-name-warned, adv-username-unverified-warned
// proves: adv-rule-redirects, policy-shadow-covers-none
t.test('a configuration with warnings is accepted', async (t) => {
  const cases: Record<string, [Sections, ...string[]]> = {
    'the example address': [publicUrl('https://auth.example.com'), 'placeholder'],
    'proxies anywhere': [server('trustedProxies: [¦0.0.0.0/0]'), 'proxy_everybody'],
    'redirects beyond a host-only cookie': [
      server('redirectDomains: [auth.corp.test, "auth.corp.test:*", ¦app.corp.test]'),
      'redirect_outside_cookie',
    ],
    'a rule behind one that takes all of it': [{
      ...server('redirectDomains: [.corp.test]'),
      ...session('cookieDomain: corp.test'),
      ...rules(
        '{ hosts: ["*.corp.test"], allow: authenticated }',
        '¦{ hosts: [auth.corp.test], paths: ["/a/*"], methods: [GET], allow: deny }',
      ),
    }, 'rule_never_decides'],
    'a rule that two earlier ones share out': [
      rules(
        '{ hosts: [auth.corp.test], methods: [GET, HEAD], allow: anyone }',
        '{ hosts: [auth.corp.test], methods: [POST], allow: authenticated }',
        '¦{ hosts: [auth.corp.test], methods: [POST, GET], allow: deny }',
      ),
      'rule_never_decides',
    ],
    'a rule twice': [
      rules(
        '{ hosts: [auth.corp.test], networks: [10.0.0.0/8], paths: ["/a"], allow: anyone }',
        '¦{ hosts: [auth.corp.test], networks: [10.0.0.0/8], paths: ["/a"], allow: anyone }',
      ),
      'rule_never_decides',
    ],
    'no rule too many': [{
      ...session('cookieDomain: corp.test'),
      ...rules(
        '{ hosts: [auth.corp.test], networks: [10.0.0.0/8], allow: anyone }',
        '{ hosts: [auth.corp.test], networks: [10.0.0.0/8, 192.0.2.1], allow: authenticated }',
        '{ hosts: ["*.auth.corp.test", "auth.corp.test:444"], paths: ["/a/*"], allow: anyone }',
        '{ hosts: [auth.corp.test], paths: ["/a/b", "/c"], allow: anyone }',
        '{ hosts: [auth.corp.test], allow: deny }',
      ),
    }],
    'a rule after a shadow rule that matches as much': [
      rules(
        '{ hosts: [auth.corp.test], allow: authenticated, enforce: false }',
        '{ hosts: [auth.corp.test], allow: authenticated }',
        '¦{ hosts: [auth.corp.test], allow: anyone, enforce: false }',
      ),
      'rule_never_decides',
    ],
    'shadow rules where nothing else protects a host, and one that denies': [
      {
        ...session('cookieDomain: corp.test'),
        ...rules(
          '¦{ hosts: [auth.corp.test], paths: ["/y"], allow: deny, enforce: false }',
          '{ hosts: [auth.corp.test, ¦wiki.auth.corp.test], paths: ["/x"], allow: anyone, enforce: false }',
          '{ hosts: [auth.corp.test], allow: authenticated }',
        ),
      },
      'shadow_rule_deny',
      'shadow_rule_alone',
    ],
    'a name that two rules have': [
      rules(
        '{ name: One, hosts: [auth.corp.test], paths: ["/x"], allow: authenticated }',
        '{ name: ¦One, hosts: [auth.corp.test], allow: authenticated }',
      ),
      'rule_name_repeated',
    ],
    'a folder that is open while what is in it is closed': [
      rules('{ hosts: [auth.corp.test], paths: [¦"/admin/**", /x, "/x/**"], allow: { staff: true } }'),
      'rule_without_folder',
    ],
    'a host that no rule is about': [{
      ...server('redirectDomains: [.corp.test, auth.corp.test, ¦app.corp.test, "wiki.corp.test:8443"]'),
      ...session('cookieDomain: corp.test'),
      ...rules('{ hosts: [wiki.corp.test], allow: deny }'),
    }, 'host_without_rule'],
    'rules for hosts that nobody comes back to': [
      {
        ...server('redirectDomains: [.corp.test]'),
        ...session('cookieDomain: corp.test'),
        ...rules(
          '{ hosts: ["c.corp.test:9"], allow: deny }',
          '{ hosts: [a.corp.test, "*.corp.test", auth.corp.test, ¦"a.corp.test:8443", ¦"auth.corp.test:8443"], ' +
            'allow: authenticated }',
        ),
      },
      'rule_outside_redirects',
      'rule_outside_redirects',
    ],
    'redirects beyond the cookie domain': [{
      ...server('redirectDomains: [.corp.test, ¦.other.test]'),
      ...session('cookieDomain: corp.test'),
    }, 'redirect_outside_cookie'],
    'the id of a secret': [
      { entra: `entra: { tenantId: ${ID}, clientId: ${ID}, clientSecret: ¦${ID} }` },
      'secret_is_id',
    ],
    'http on loopback': [entra('allowHttp: true\n  authorityHost: ¦http://localhost:9000'), 'http_override'],
    'a row that grants nothing': [rows(`¦{ entraGroup: ${OTHER} }`), 'mapping_row_empty'],
    'no superuser': [{ groupMapping: `¦groupMapping: [{ entraGroup: ${ID}, staff: true }]` }, 'mapping_no_superuser'],
    'no mapping': [{ groupMapping: 'groupMapping: ¦[]' }, 'mapping_empty'],
    'superusers who are not staff': [rows(`¦{ entraGroup: ${OTHER}, superuser: true }`), 'mapping_superuser_not_staff'],
    'names that are nearly the same': [
      rows(`{ entraGroup: ${OTHER}, groups: [Net Ops, ¦net_ops] }`),
      'group_names_alike',
    ],
    'a staleness that one late answer reaches': [
      rest('sync: { interval: 10m, privilegedStaleness: ¦19m, maxStaleness: 20m }'),
      'sync_staleness_tight',
    ],
    'a longest silence that one late answer reaches': [
      rest('sync: { interval: 1h, privilegedStaleness: ¦1h, maxStaleness: ¦119m }'),
      'sync_staleness_tight',
      'sync_staleness_tight',
    ],
    'default groups': [rest('¦defaultGroups: [A]'), 'default_groups_lost'],
    'usernames of verified addresses': [rest('username: ¦email'), 'username_email_verified'],
    'usernames of display names, which do not count': [rest('username: ¦name'), 'username_name_ignored'],
    'usernames of unverified addresses': [rest('username: ¦email\nusernameUnverified: true'), 'username_unverified'],
    'usernames of display names': [rest('username: ¦name\nusernameUnverified: true'), 'username_unverified'],
  }
  t.strictSame(load(yaml()).warnings, [], 'none without a reason')
  for (const [name, [sections, ...codes]] of Object.entries(cases)) {
    const { text, expected } = marked(yaml(sections), codes)
    t.strictSame(placed(load(text).warnings), expected, name)
  }
})

t.test('variables', async (t) => {
  const contact = (value: string, env: Record<string, string> = {}) =>
    load(yaml(server(`contact: ${value}`)), env).config.server.contact
  t.equal(contact('${A}', { A: 'x: y # z' }), 'x: y # z', 'colons and # are text')
  t.equal(contact('a${A}-${B:-c d}', { A: '1' }), 'a1-c d')
  t.equal(contact('"${A:-x}"', { A: '' }), 'x', 'set but empty takes the default')
  t.strictSame(
    problemsOf(() => contact('${A}', { A: '' })).map(({ code }) => code),
    ['value_empty'],
    'set but empty is set',
  )
  t.equal(contact('$${A} costs $5'), '${A} costs $5')
  t.strictSame(problemsOf(() => contact('${constructor}')).map(({ code }) => code), ['env_unset'])
  const { config } = load(
    yaml({
      server: 'server:\n  publicUrl: ${U}\n  port: ${P}\n  management: { port: "${Q}" }',
      rest: 'requireMappedGroup: ${B}',
    }),
    { U: 'https://AUTH.corp.test:443/', P: '80', Q: '81', B: 'true' },
  )
  t.strictSame(
    {
      publicUrl: config.server.publicUrl,
      port: config.server.port,
      managementPort: config.server.management.port,
      requireMappedGroup: config.requireMappedGroup,
    },
    { publicUrl: 'https://auth.corp.test', port: 80, managementPort: 81, requireMappedGroup: true },
  )
  const group = load(yaml({ groupMapping: `groupMapping: [{ entraGroup: ${ID}, groups: ["\${G}"] }]` }), {
    G: '[a]: {b}',
  })
  t.strictSame(group.config.groupMapping[0]?.groups, ['[a]: {b}'], 'never structure')
})

t.test('secrets in files', async (t) => {
  const twins: Sections = {
    entra: `entra: { tenantId: ${ID}, clientId: ${ID}, clientSecretFile: a }`,
    session: 'session: { secretsFile: /run/b }',
    keys: 'keys:\n  encryptionSecretsFile: c',
    database: 'database: { urlFile: d }',
  }
  const files = {
    '/etc/gh/a': 'abc\r\n',
    '/run/b': `${SECRET}\n\n${SECOND_SECRET}\n`,
    '/etc/gh/c': `${SECRET}x`,
    '/etc/gh/d': 'postgres://h/db\n',
  }
  const { config, secretFiles } = load(yaml(twins), {}, files)
  t.strictSame(
    {
      clientSecret: config.entra.clientSecret,
      sessionSecrets: config.session.secrets,
      encryptionSecrets: config.keys.encryptionSecrets,
      databaseUrl: config.database.url,
    },
    {
      clientSecret: 'abc',
      sessionSecrets: [SECRET, SECOND_SECRET],
      encryptionSecrets: [`${SECRET}x`],
      databaseUrl: 'postgres://h/db',
    },
  )
  t.strictSame(secretFiles, ['/etc/gh/a', '/etc/gh/d', '/run/b', '/etc/gh/c'])
  const codes = (changed: Record<string, string>) =>
    problemsOf(() => load(yaml(twins), {}, { ...files, ...changed })).map(({ code, path }) => [code, path])
  t.strictSame(codes({ '/etc/gh/a': '\n' }), [['secret_file_empty', 'entra.clientSecretFile']])
  t.strictSame(codes({ '/etc/gh/a': 'x\ny\n' }), [['secret_file_lines', 'entra.clientSecretFile']])
  t.strictSame(codes({ '/run/b': `${SECRET}\nshort\n` }), [['secret_short', 'session.secretsFile']])
  t.strictSame(codes({ '/etc/gh/c': `${SECRET}\n` }), [['secret_shared', 'keys.encryptionSecretsFile']])
  t.strictSame(placed(problemsOf(() => load(yaml({ session: 'session:\n  secretsFile: nowhere' })))), [
    'secret_file_missing 10:16',
  ])
  const both = marked(yaml(session('¦secretsFile: b')), ['secret_both'])
  t.strictSame(placed(problemsOf(() => load(both.text))), both.expected)
  for (
    const { message } of problemsOf(() =>
      load(yaml({ session: 'session: { secrets: [hunter2hunter2] }', server: '+port: ${PW}' }), {
        PW: 'hunter2hunter2',
      })
    )
  ) t.notMatch(message, 'hunter2', 'never shown')
})

t.test('files', async (t) => {
  const dir = t.testdir({
    'gatehouse.yaml': yaml({ session: 'session: { secretsFile: s }' }),
    s: `${SECRET}\n`,
    empty: '',
    comment: '# nothing\n---\n',
    list: '- a\n',
    binary: '',
    big: '',
  })
  writeFileSync(join(dir, 'binary'), Buffer.from([0x61, 0xff, 0xfe]))
  writeFileSync(join(dir, 'big'), `#${'x'.repeat(1024 * 1024)}`)
  const codes = (name: string) => placed(problemsOf(() => loadConfig(join(dir, name), { env: {} })))
  t.strictSame(codes('nowhere'), ['file_missing 1:1'])
  t.strictSame(codes('.'), ['file_directory 1:1'])
  t.strictSame(codes('binary'), ['file_not_utf8 1:1'])
  t.strictSame(codes('big'), ['file_too_large 1:1'])
  t.strictSame(codes('empty'), ['file_empty 1:1'])
  t.strictSame(codes('comment'), ['file_empty 1:1'])
  t.strictSame(codes('list'), ['type_wrong 1:1'])
  t.strictSame(problemsOf(() => load('['.repeat(100_000))).map(({ code }) => code), ['yaml_depth'])
  chmodSync(join(dir, 's'), 0o644)
  t.strictSame(loadConfig(join(dir, 'gatehouse.yaml'), { env: {} }).warnings.map(({ code }) => code), [
    'secret_file_open',
  ])
  chmodSync(join(dir, 's'), 0o640)
  t.strictSame(loadConfig(join(dir, 'gatehouse.yaml'), { env: {} }).warnings, [])
  writeFileSync(
    join(dir, 'bom'),
    `\uFEFF${yaml({ server: 'server:\n  publicUrl: http://auth.corp.test' })}`.replaceAll('\n', '\r\n'),
  )
  t.strictSame(codes('bom'), ['origin_https 2:14'], 'a byte order mark and CRLF do not move places')
})

// proves: linking-off, flags-off-by-default, any-guid
t.test('the loaded configuration has defaults, milliseconds and absolute paths', async (t) => {
  const { config, hash } = load(yaml({ ...session('cookieDomain: .Corp.Test\n  idleTimeout: 90m') }))
  t.match(config.session, {
    cookieDomain: 'corp.test',
    idleTimeoutMs: 5_400_000,
    absoluteTimeoutMs: 86_400_000,
    privilegedTimeoutMs: undefined,
    cacheSize: 200_000,
  })
  t.strictSame(config.headers, { families: ['x-auth-request', 'remote', 'assertion'], maxBytes: 8192, extra: [] })
  t.equal(config.sync, undefined)
  t.strictSame(
    {
      pipeline: config.pipeline.join(' '),
      associateByEmail: config.associateByEmail,
      defaultGroups: config.defaultGroups,
    },
    { pipeline: `social_details ${ALL_BUT_DETAILS.replaceAll(',', '')}`, associateByEmail: false, defaultGroups: [] },
    'the steps of NetBox in its order; e-mail links nobody',
  )
  t.equal(config.database.dataDir, '/etc/gh/data')
  t.match(hash, /^[0-9a-f]{64}$/)
  t.equal(
    load(yaml({ ...session('idleTimeout: 90m\n  cookieDomain: corp.test'), ...server('port: 81') })).hash,
    hash,
    'neither order nor the port to listen on count',
  )
  t.not(
    load(yaml({ ...session('idleTimeout: 90m\n  cookieDomain: corp.test'), rest: 'log: { access: all }' })).hash,
    hash,
  )
  t.not(
    load(yaml({ session: `session:\n  secrets: [${SECRET}y]\n  cookieDomain: corp.test\n  idleTimeout: 90m` })).hash,
    hash,
    'a secret counts',
  )
  const base = session('idleTimeout: 90m\n  cookieDomain: corp.test')
  t.equal(
    load(yaml({ ...base, database: 'database: { url: postgres://another:password@elsewhere/gatehouse, poolSize: 3 }' }))
      .hash,
    hash,
    'how the database is reached may differ',
  )
  t.equal(
    load(yaml({ ...session('idleTimeout: 90m\n  cookieDomain: corp.test\n  cacheSize: 50000') })).hash,
    hash,
    'how many sessions a process keeps in memory may differ',
  )
  t.equal(
    load(yaml({ ...base, ...server('workers: auto') })).hash,
    hash,
    'how many workers a machine has may differ',
  )
  t.not(load(yaml({ ...base, entra: BASE.entra.replace('abc~def', 'abc~deg') })).hash, hash, 'the client secret counts')
  t.equal(
    load(yaml({ entra: 'entra:\n  authorityHost: login.microsoftonline.us\n' + BASE.entra.slice(7) })).config.entra
      .authorityHost,
    'https://login.microsoftonline.us',
  )
  const merged = load(
    yaml(
      rows(
        `&row { entraGroup: ${OTHER}, groups: [A], staff: true }`,
        `{ <<: *row, entraGroup: ${OTHER.replace('9', '7')}, groups: [B] }`,
      ),
    ),
  )
  t.match(merged.config.groupMapping[1], {
    entraGroup: OTHER.replace('9', '7'),
    groups: ['B'],
    staff: true,
    superuser: false,
  }, 'merge keys')
})

t.test('a problem is printed as file:line:column, message and remedy', async (t) => {
  const text = formatProblem({
    file: 'a.yaml',
    line: 3,
    column: 7,
    path: 'x',
    code: 'y',
    message: 'It is wrong.',
    remedy: 'Mend it.',
  })
  t.equal(text, 'a.yaml:3:7: It is wrong.\n    Mend it.')
})

t.test('random input throws no error other than ConfigError', async () => {
  const example = readFileSync(new URL('../../config/gatehouse.example.yaml', import.meta.url), 'utf8')
  const only = (text: string) =>
    problemsOf(() => load(text, { SESSION_SECRET: SECRET })).every(({ line, column, code, message, remedy }) =>
      line > 0 && column > 0 && code && message && remedy
    )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ maxLength: 200, unit: 'binary' }),
        fc.string({ unit: fc.constantFrom(...'\n\t -:?[]{},&*!|>\'"%@`#$a1<=~.'), maxLength: 80 }),
      ),
      only,
    ),
    { numRuns: 500 },
  )
  const piece = fc.oneof(
    fc.constantFrom(
      '\n',
      '\n\n',
      '  ',
      ':',
      '- ',
      '"',
      "'",
      '[',
      ']',
      '{',
      '}',
      '&a ',
      '*a',
      '<<: *a',
      '!x ',
      '${',
      '${A}',
      '|\n',
      '>',
      '~',
      'null',
      '1e9',
      '---\n',
      '# ',
      '\0',
      '\t',
      '? ',
      '.inf',
    ),
    fc.string({ maxLength: 8 }),
  )
  const cuts = fc.array(fc.tuple(fc.nat(example.length), fc.nat(40), piece), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(
      cuts,
      (edits) =>
        only(edits.reduce((text, [at, length, put]) => text.slice(0, at) + put + text.slice(at + length), example)),
    ),
    { numRuns: 300 },
  )
  const lines = example.split('\n')
  fc.assert(fc.property(fc.shuffledSubarray(lines), (some) => only(some.join('\n'))), { numRuns: 200 })
})

// proves: admin-host-apart
t.test('with the console, no rule and no application may name the host of Gatehouse', async (t) => {
  const rest = (host: string) =>
    `admin: {}\naccess:\n  rules:\n    - hosts: [app.corp.test, ${host}]\n      allow: authenticated\n` +
    `applications:\n  - host: ${host}\n    name: App`
  const shared = (text: string) => problemsOf(() => load(text)).filter(({ code }) => code === 'admin_host_shared')
  for (const host of ['auth.corp.test', 'auth.corp.test:8443']) {
    const found = shared(yaml({ rest: rest(host) })).map(({ path }) => path)
    t.strictSame(found, ['access.rules[0].hosts[1]', 'applications[0].host'], host)
  }
  t.strictSame(shared(yaml({ rest: rest('wiki.corp.test') })), [])
  t.strictSame(shared(yaml({ rest: rest('auth.corp.test').replace('admin: {}', '') })), [])
  const loopback = yaml({ server: 'server:\n  publicUrl: http://127.0.0.1:4180', rest: rest('127.0.0.1:8080') })
  const { warnings } = load(loopback)
  t.equal(warnings.filter(({ code }) => code === 'admin_host_shared').length, 2, 'on loopback a warning')
})

t.test('an authentication context is granted to everybody where no policy requires it', async (t) => {
  const found = (rest: string) => load(yaml({ rest })).warnings.filter(({ code }) => code === 'admin_acrs_policy')
  t.match(found('admin:\n  acrs: c99'), [{ path: 'admin.acrs' }])
  t.strictSame(found('admin: {}'), [])
})
