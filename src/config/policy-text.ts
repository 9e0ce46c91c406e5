// The policy as it is written: the part of a configuration file that a reload puts in force, before `${NAME}` is
// replaced. It is what versions of the policy keep (core/policy-version.ts): a value that came from the environment
// never is in it.
import { createHash } from 'node:crypto'
import { isMap, isScalar, parseDocument, stringify, type Document, type YAMLMap } from 'yaml'
import { canonicalJson } from '../core/canonical-json.js'
import { withoutDefaults } from './variables.js'

/** The keys of the file that are the policy, in the order in which a policy is written anew. */
export const POLICY_KEYS = [
  'groupMapping',
  'requireMappedGroup',
  'username',
  'usernameUnverified',
  'reservedUsernames',
  'associateByEmail',
  'authAllowed',
  'defaultGroups',
  'pipeline',
  'access',
  'headers',
  'applications',
  'branding',
] as const

export type PolicyKey = typeof POLICY_KEYS[number]

/** @param path of a key at any depth, such as `access.rules[2].hosts` */
export function policyKeyOf(path: string): PolicyKey | undefined {
  const [first] = path.split(/[.[]/, 1)
  return POLICY_KEYS.find((key) => key === first)
}

export interface PolicyText {
  /** YAML with its comments; of `${NAME:-default}` it has `${NAME}`. */
  readonly text: string
  /** JSON of the parsed YAML, keys sorted, no defaults filled in. */
  readonly canonical: string
  /** SHA-256 of `canonical`: 64 hex characters. */
  readonly hash: string
}

/** @param document of a file without syntax errors */
export function policyTextOf(file: string, parsed: Document): PolicyText {
  const source = withoutDefaults(file)
  const document = source === file ? parsed : parseDocument(source, { logLevel: 'silent', uniqueKeys: false })
  const values = policyValues(document)
  const canonical = canonicalJson(values)
  const slices = sliceOf(source, document)
  // a part that needs an anchor from elsewhere in the file, or that is in one line with others, is written anew
  const stands = slices !== undefined && canonicalOf(slices) === canonical
  return { text: stands ? slices : writtenAnew(values), canonical, hash: sha256(canonical) }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function policyValues(document: Document): Readonly<Record<string, unknown>> {
  // the reader has counted what aliases multiply (load.ts)
  const whole: unknown = document.toJS({ maxAliasCount: -1 })
  const file = typeof whole === 'object' && whole !== null ? whole as Readonly<Record<string, unknown>> : {}
  return Object.fromEntries(POLICY_KEYS.filter((key) => file[key] !== undefined).map((key) => [key, file[key]]))
}

function canonicalOf(text: string): string | undefined {
  const document = parseDocument(text, { logLevel: 'silent' })
  if (document.errors.length > 0) return undefined
  try {
    return canonicalJson(document.toJS({ maxAliasCount: -1 }) ?? {})
  } catch {
    return undefined // an alias of an anchor that is elsewhere
  }
}

function writtenAnew(values: Readonly<Record<string, unknown>>): string {
  return Object.keys(values).length === 0 ? '' : stringify(values, { aliasDuplicateObjects: false, lineWidth: 120 })
}

/** The lines of the policy's keys, with the comments directly above each. Undefined: it has no lines of its own. */
function sliceOf(source: string, { contents }: Document): string | undefined {
  if (!isMap(contents) || contents.flow === true) return undefined
  const starts = contents.items.map((_item, index) => startOf(source, contents, index))
  if (!starts.every((start) => start !== undefined)) return undefined
  const end = contents.range?.[2] ?? source.length
  const parts = contents.items.flatMap(({ key }, index) =>
    isScalar(key) && (POLICY_KEYS as readonly unknown[]).includes(key.value)
      ? [source.slice(starts[index], starts[index + 1] ?? end).trimEnd()]
      : []
  )
  return parts.length === 0 ? '' : `${parts.join('\n\n')}\n`
}

function startOf(source: string, map: YAMLMap, index: number): number | undefined {
  const key = map.items[index]?.key
  const at = isScalar(key) ? key.range?.[0] : undefined
  if (at === undefined || (at > 0 && source[at - 1] !== '\n')) return undefined // an anchor, a quote, or indented
  let start = at
  for (;;) {
    const before = source.lastIndexOf('\n', start - 2) + 1
    if (start === 0 || source[before] !== '#') return start
    start = before
  }
}
