// `gatehouse access check`: a file of expectations against the access rules, for CI. The database is opened only where
// a line names a user.
import { createAccessCheck, type CheckedExpectation, type Found } from '../admin/access-check.js'
import { createAccessTestAdmin } from '../admin/access-test.js'
import { loadConfig, type LoadedConfig } from '../config/load.js'
import { GatehouseError } from '../core/errors.js'
import type { PolicyUser } from '../core/policy.js'
import { networkTest } from '../net/networks.js'
import { createPolicyUsers } from '../store/policy-reads.js'
import { commandProcess } from './command-process.js'
import {
  EXIT,
  explainFailure,
  print,
  printJson,
  readConfigInForce,
  withDatabase,
  type CommonOptions,
} from './context.js'
import { readExpectations, type PlacedExpectation } from './expectations-file.js'

export interface AccessCheckOptions extends CommonOptions {
  readonly with?: string
}

interface Checked extends CheckedExpectation {
  readonly expectation: PlacedExpectation
}

export async function accessCheck(file: string, options: AccessCheckOptions): Promise<number> {
  let expectations: readonly PlacedExpectation[]
  try {
    expectations = readExpectations(file)
  } catch (error) {
    explainFailure(error, options.json)
    return EXIT.usage
  }
  const rules = options.with === undefined
    ? await readConfigInForce(options)
    : loadConfig(options.with, { env: commandProcess().env })
  const checked = await checkAll(expectations, rules, options)
  const failed = checked.filter(({ holds }) => !holds)
  if (options.json) printJson(jsonOf(file, checked, rules))
  else printDifferences(file, checked, rules)
  return failed.length === 0 ? EXIT.ok : EXIT.failed
}

async function checkAll(
  expectations: readonly PlacedExpectation[],
  { config }: LoadedConfig,
  options: CommonOptions,
): Promise<readonly Checked[]> {
  const users = await readUsers(expectations, options)
  const accessTest = createAccessTestAdmin({
    policy: () => config,
    users: {
      find: async (name) => {
        const user = users.get(name)
        if (user === undefined) throw new GatehouseError('user_unknown', { detail: `there is no user ${name}` })
        if (user instanceof GatehouseError) throw user
        return user
      },
    },
    localGroups: { named: async () => [] },
    networkTest,
  })
  const { check } = createAccessCheck(accessTest)
  const checked: Checked[] = []
  for (const expectation of expectations) checked.push({ ...await check(expectation), expectation })
  return checked
}

/** Each one once, over one connection; none where no line names a user. */
async function readUsers(
  expectations: readonly PlacedExpectation[],
  options: CommonOptions,
): Promise<ReadonlyMap<string, PolicyUser | GatehouseError>> {
  const names = new Set(
    expectations.flatMap(({ who }) => typeof who === 'object' && 'user' in who ? [who.user] : []),
  )
  const found = new Map<string, PolicyUser | GatehouseError>()
  if (names.size === 0) return found // guard: policy-check-without-database
  await withDatabase(options, async ({ database, people }) => {
    const users = createPolicyUsers(database, people)
    for (const name of names) {
      try {
        found.set(name, await users.find(name))
      } catch (error) {
        const known = error instanceof GatehouseError && ['user_unknown', 'user_ambiguous'].includes(error.code)
        if (!known) throw error
        found.set(name, error)
      }
    }
  })
  return found
}

function jsonOf(file: string, checked: readonly Checked[], { positionOf, file: rulesFile }: LoadedConfig) {
  const failed = checked.filter(({ holds }) => !holds)
  return {
    checked: checked.length,
    failed: failed.map(({ expectation, found }) => {
      const { line, column, method, url, expect, rule = null } = expectation
      const actual = 'error' in found
        ? { error: found.error.code, message: found.error.message }
        : {
          outcome: found.outcome,
          rule: found.path,
          name: found.name,
          file: rulesFile,
          ...positionOf(found.path),
          allows: found.allows,
          because: found.because,
        }
      return {
        file,
        line,
        column,
        who: whoIs(expectation),
        method,
        url,
        expected: { outcome: expect, rule },
        found: actual,
      }
    }),
  }
}

function printDifferences(file: string, checked: readonly Checked[], rules: LoadedConfig): void {
  const failed = checked.filter(({ holds }) => !holds)
  for (const { expectation, found } of failed) {
    const { line, column, method, url, expect, rule } = expectation
    print(`${file}:${line}:${column}: ${method} ${url} by ${whoIs(expectation)}`)
    print(`  - expected ${expect}${rule === undefined ? '' : ` by ${titleOf(rule)}`}`)
    print(`  + found ${'error' in found ? found.error.message : foundIs(found, rules)}`)
  }
  const count = `${checked.length} ${checked.length === 1 ? 'expectation' : 'expectations'}`
  print(failed.length === 0 ? `${count}: all of them hold.` : `${count}: ${failed.length} of them do not hold.`)
}

function foundIs({ outcome, path, name, allows, because }: Found, { positionOf, file }: LoadedConfig): string {
  const { line, column } = positionOf(path)
  const title = name === null ? path : `${name}, ${path}`
  return `${outcome} by ${title} (${file}:${line}:${column}), which is open to ${allows}: ${because}`
}

function titleOf(rule: number | string): string {
  return typeof rule === 'number' ? `access.rules[${rule}]` : rule
}

function whoIs({ who }: PlacedExpectation): string {
  if (who === 'nobody') return 'nobody'
  if ('user' in who) return who.user
  const { groups, permissions, isStaff, isSuperuser } = who.rights
  return [
    groups.length === 0 ? 'a member of no group' : `a member of ${groups.join(', ')}`,
    ...(permissions.length === 0 ? [] : [`with ${permissions.join(', ')}`]),
    ...(isStaff ? ['staff'] : []),
    ...(isSuperuser ? ['superuser'] : []),
  ].join(', ')
}
