// Four decoders that applications use, and what each makes of a path: whatever one of them would refuse is not let
// through.
// The decoders are written here as their documentation has them; Python's is compared with Python where it is
// installed.
import { spawnSync } from 'node:child_process'
import { posix } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import {
  compileAccess,
  type AccessRule,
  type AccessRules,
  type Allow,
  type SessionRights,
} from '../../src/core/access.js'
import { MAX_CHARACTERS, pathInterpretations } from '../../src/core/path-interpretations.js'
import { parseTargetUrl } from '../../src/core/target.js'
import { networkTest } from '../../src/net/networks.js'
import { targetOf } from '../helpers/targets.js'

const PERSON: SessionRights = { groups: [], permissions: [], isStaff: false, isSuperuser: false }

const rule = (allow: Allow, paths: readonly string[]): AccessRule => ({
  hosts: ['app.test'],
  networks: undefined,
  methods: undefined,
  paths,
  allow,
})
const STAFF: Allow = { groups: [], permissions: [], staff: true, superuser: undefined }

/** One policy closes some paths of an open host, the other opens some paths of a closed one. */
const POLICIES: readonly AccessRules[] = [
  {
    default: 'authenticated',
    rules: [rule(STAFF, ['/admin', '/admin/**', '/caf\u00e9/**', '/x/*/admin']), rule('anyone', ['/**'])],
  },
  { default: 'deny', rules: [rule('anyone', ['/static/**', '/login', '/x/*'])] },
]

/** `urllib.parse.unquote`: every well-formed encoding, as UTF-8 with U+FFFD in place of what is none. */
function pythonUnquote(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'))
}

/**
 * `url.ParseRequestURI(text).Path` and `url.Parse(text).Path` of net/url: decoded once; an authority only in the
 * latter.
 */
function goPaths(text: string): readonly string[] {
  const [path = ''] = text.split('?', 1)
  if (/%(?![0-9a-f]{2})/i.test(path) || /[^\x20-\x7e\x80-\uffff]/.test(text)) throw new Error('invalid URL')
  const decode = (escaped: string) => pythonUnquote(escaped)
  const authority = path.startsWith('//') && !path.startsWith('///') ? [decode(path.replace(/^\/\/[^/]*/, ''))] : []
  return [decode(path), ...authority]
}

function whatwg(text: string): string {
  return new URL(text, 'http://app.test').pathname
}

function clean(path: string): string {
  return posix.normalize(path === '' ? '/' : path)
}

/** Everything that an application with one of these decoders may match its routes against. */
function readingsOfPrograms(text: string): readonly string[] {
  const readers: readonly (() => readonly string[])[] = [
    () => [whatwg(text), pythonUnquote(whatwg(text))],
    () => [whatwg(pythonUnquote(text)), pythonUnquote(whatwg(pythonUnquote(text)))],
    () => [pythonUnquote(text), clean(pythonUnquote(text))],
    () => [pythonUnquote(pythonUnquote(text)), clean(pythonUnquote(pythonUnquote(text)))],
    () => goPaths(text).flatMap((path) => [path, clean(path)]),
    () => goPaths(pythonUnquote(text)).flatMap((path) => [path, clean(path)]),
    () => pythonUnquote(text).split('/').map((name) => name.trim()).join('/').split('\n'),
  ]
  return readers.flatMap((read) => {
    try {
      return read()
    } catch {
      return [] // a program that cannot read it serves nothing
    }
  }).map((path) => path === '' ? '/' : path)
}

/** The pattern as PCRE has it: `$` also matches before a newline at the end. */
function regexOf(pattern: string): RegExp {
  const source = pattern.replaceAll('**', '\u0000').replaceAll('*', '[^/]+').replaceAll('\u0000', '.*')
  return new RegExp(`^${source}\\n?$`, 's')
}

function refuses({ default: fallback, rules }: AccessRules, reading: string): boolean {
  const found = rules.find(({ paths = [] }) => paths.some((pattern) => regexOf(pattern).test(reading)))
  return (found?.allow ?? fallback) !== 'anyone'
}

const NAMES = ['admin', 'static', 'login', 'caf\u00e9', 'x', '..', '.', '']
const SEPARATORS = [
  '/',
  '//',
  '\\',
  ';',
  ';v=1/',
  ' /',
  '\u00a0/',
  '\u3000/',
  '/ ',
  '?',
  '#',
  '\n',
  '\t',
  '\u0085',
  '\u0000',
  '\n/',
]
const name = fc.constantFrom(...NAMES)
const separator = fc.constantFrom(...SEPARATORS, '/', '/', '/')

/** Characters encoded some times over: none is left as it was where it could not be sent so. */
const anyPath = fc.array(fc.tuple(separator, name), { minLength: 1, maxLength: 5 })
  .chain((parts) => {
    const chars = [...parts.flat().join('')]
    const depths = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: chars.length, maxLength: chars.length })
    const tail = fc.constantFrom('', '', '', '%ff', '%C0%AF', '%0a', '%20', '%C2%A0')
    return fc.tuple(fc.constantFrom(...[0, 1, 2, 3]), depths, tail).map(([least, each, end]) => {
      const encoded = chars.map((char, at) => encodedTimes(char, Math.min(each[at] ?? 0, least)))
      return `/${encoded.join('')}${end}`
    })
  })

function encodedTimes(char: string, times: number): string {
  const must = /[^\x21-\x7e]|[?#]/.test(char)
  let text = must || times > 0
    ? [...Buffer.from(char)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
    : char
  for (let count = 1; count < times; count++) text = text.replaceAll('%', '%25')
  return text
}

t.test(
  'Python decodes as this test says',
  { skip: spawnSync('python3', ['-V']).error ? 'no python3' : false },
  async (t) => {
    const paths = fc.sample(anyPath, 3_000)
    const program =
      'import json, sys, urllib.parse; print(json.dumps([urllib.parse.unquote(p) for p in json.load(sys.stdin)]))'
    const { stdout } = spawnSync('python3', ['-c', program], { input: JSON.stringify(paths), encoding: 'utf8' })
    t.strictSame((JSON.parse(stdout) as string[]).map(withoutCounts), paths.map(pythonUnquote).map(withoutCounts))
  },
)

/** How many U+FFFD stand for one broken sequence differs between the two. */
function withoutCounts(text: string): string {
  return text.replace(/\ufffd+/g, '\ufffd')
}

// proves: adv-decoders
t.test('what any of four decoders would refuse is not let through', async (t) => {
  const seen = { malformed: 0, refused: 0, allowed: 0 }
  for (const rules of POLICIES) {
    const policy = compileAccess(rules, networkTest)
    fc.assert(
      fc.property(anyPath, (path) => {
        const target = targetOf(path)
        if (target === undefined) {
          seen.malformed++
          return true
        }
        const allowed = policy.decide({ target, address: () => undefined }, PERSON).allow
        const refusedBySomebody = readingsOfPrograms(path).some((reading) => refuses(rules, reading))
        seen[refusedBySomebody ? 'refused' : 'allowed'] += 1
        return !(allowed && refusedBySomebody)
      }),
      { numRuns: 10_000, ...(process.env.FC_SEED ? { seed: Number(process.env.FC_SEED) } : {}) },
    )
  }
  t.comment(JSON.stringify(seen))
  for (const [what, count] of Object.entries(seen)) t.ok(count > 300, `${what}: ${count}`)
})

t.test('what can be read in one way alone is not refused for its encoding', async (t) => {
  const policy = compileAccess(POLICIES[1] ?? { default: 'deny', rules: [] }, networkTest)
  const names = [
    'caf\u00e9',
    '\u00fcber',
    '\u65e5\u672c\u8a9e',
    '\u0627\u0644\u0639\u0631\u0628\u064a\u0629',
    '\u0939\u093f\u0928\u094d\u0926\u0940',
    '\u0445\u043b\u0435\u0431',
    '\u{1f600}',
    'a b',
    '100%',
  ]
  for (const each of names) {
    const path = `/static/${encodeURIComponent(each)}/x`
    t.equal(
      policy.decide({ target: parseTargetUrl(`https://app.test${path}`, 'GET'), address: () => undefined }, undefined)
        .allow,
      true,
      path,
    )
  }
})

// proves: adv-dot-at-end
t.test('a dot at the end is read with and without the slash before it', async (t) => {
  const policy = compileAccess(POLICIES[0] ?? { default: 'deny', rules: [] }, networkTest)
  for (const path of ['/x/y/admin/.', '//x/y/admin/.', '/x/y/admin/z/..', '/x/y/admin/%2e', '/x/y/admin/z/%2e%2E']) {
    t.notOk(
      policy.decide({ target: parseTargetUrl(`https://app.test${path}`, 'GET'), address: () => undefined }, PERSON)
        .allow,
      path,
    )
  }
})

// proves: adv-encoded-dot
t.test('an encoded dot climbs where an encoded slash beside it stays one', async (t) => {
  const policy = compileAccess(POLICIES[0] ?? { default: 'deny', rules: [] }, networkTest)
  for (const path of ['/a%252fb/%252e./admin', '/a%252fb/%252e%252E/admin', '/%253fa%252fb/.%252e/admin']) {
    t.notOk(
      policy.decide({ target: parseTargetUrl(`https://app.test${path}`, 'GET'), address: () => undefined }, PERSON)
        .allow,
      path,
    )
  }
})

// proves: adv-path-ends
t.test('a path may end at a question mark alone, where a number sign is a part of it', async (t) => {
  const policy = compileAccess(POLICIES[0] ?? { default: 'deny', rules: [] }, networkTest)
  for (const path of ['/x/a%23b/admin%3fc', '/x/a%2523b/admin%253fc', '/x/a;b/admin%23c', '/x/a%3fb/admin%23c']) {
    t.notOk(
      policy.decide({ target: parseTargetUrl(`https://app.test${path}`, 'GET'), address: () => undefined }, PERSON)
        .allow,
      path,
    )
  }
})

// proves: adv-blanks-trimmed, adv-controls-in-readings
t.test('blanks at the end of a name are read with and without them', async (t) => {
  const policy = compileAccess(POLICIES[0] ?? { default: 'deny', rules: [] }, networkTest)
  const decide = (path: string) =>
    policy.decide({ target: parseTargetUrl(`https://app.test${path}`, 'GET'), address: () => undefined }, PERSON).allow
  for (const blank of ['%20', '%C2%A0', '%E3%80%80', '%e2%80%83', '%EF%BB%BF']) {
    for (
      const path of [
        `/admin${blank}`,
        `/admin${blank}/x`,
        `/admin${blank}${blank}`,
        `/${blank}admin`,
        `/x/..;/admin${blank}`,
      ]
    ) t.notOk(decide(path), path)
    t.ok(decide(`/a${blank}b`), `${blank} inside a name`)
    t.ok(decide(`/other${blank}`), `${blank} where both readings are open`)
  }
  for (
    const path of [
      '/admin%250a',
      '/admin%2520',
      '/admin%25250a',
      '/static/%252e%2509%252e/admin',
      '/x%2500',
      '/x%25c2%2585',
      '//any.test/admin',
      '/%5Cany/admin',
    ]
  ) t.notOk(decide(path), path)
})

// proves: adv-path-budget
t.test('the work for one path is bounded, by counting and not by a clock', async (t) => {
  const unit = '\\//;%252e%2e%255c'
  const attack = (length: number) =>
    `/x/${unit.repeat(Math.ceil(length / unit.length)).slice(0, length - 3)}`.replace(/%[0-9a-f]?$/i, '')
  t.equal(pathInterpretations(attack(8_192)), 'unknowable')
  t.not(pathInterpretations(attack(400)), 'unknowable', 'a short one is read in every way')
  t.strictSame(
    pathInterpretations(`/group%2Fproject/${'a'.repeat(8_000)}`).length,
    2,
    'a long one with one odd encoding too',
  )
  t.equal(
    pathInterpretations(`/%41${'a'.repeat(MAX_CHARACTERS)}`),
    'unknowable',
    'nothing longer than the budget is looked at',
  )
  t.strictSame(pathInterpretations(`/${'a'.repeat(MAX_CHARACTERS)}`).length, 1, 'a plain one costs nothing')
  const rules: AccessRules = {
    default: 'authenticated',
    rules: [rule('anyone', ['/static/**']), rule(STAFF, ['/admin/**']), rule('deny', ['/never'])],
  }
  const grounds = compileAccess(rules, networkTest).grounds({
    target: parseTargetUrl(`https://app.test${attack(8_192)}`, 'GET'),
    address: () => undefined,
  })
  t.strictSame(grounds.map(({ path }) => path), [
    'access.rules[0]',
    'access.rules[1]',
    'access.rules[2]',
    'access.default',
  ], 'beyond it all rules count')
})
