// The file of `gatehouse access check`: a YAML list of expectations, under version control.
import { OUTCOMES, type Expectation, type Outcome } from '../admin/access-check.js'
import { isKnownMethod } from '../core/access-hosts.js'
import { GatehouseError } from '../core/errors.js'
import { parseTargetUrl } from '../core/target.js'
import { keys, listOf, nonEmptyText, text, type FileProblem, type Judge } from '../core/judges.js'
import { readCheckedFile } from './checked-file.js'

export interface PlacedExpectation extends Expectation {
  readonly line: number
  readonly column: number
}

const REMEDY = 'It is a list like: - { groups: [Network Engineers], method: GET, url: https://netbox.example.com/, ' +
  'expect: allow }, with user, groups or nobody: true.'

const onlyTrue: Judge = (value, at) => value === true ? [] : [[at, 'must be true']]
const outcome: Judge = (value, at) =>
  OUTCOMES.some((each) => each === value) ? [] : [[at, `must be one of ${OUTCOMES.join(', ')}`]]
const method: Judge = (value, at) =>
  typeof value === 'string' && isKnownMethod(value) ? [] : [[at, 'must be an HTTP method in capitals']]
const rule: Judge = (value, at) =>
  (typeof value === 'string' && value !== '') || (Number.isInteger(value) && (value as number) >= 0)
    ? []
    : [[at, 'must be the number of a rule, as in access.rules[3], or its name']]
const url: Judge = (value, at) => {
  if (typeof value !== 'string') return [[at, 'must be text']]
  try {
    parseTargetUrl(value, 'GET')
    return []
  } catch (error) {
    if (!(error instanceof GatehouseError)) throw error
    return [[at, `must be a whole address, such as https://host/path: ${error.message}`]]
  }
}

const keysOfLine = keys(
  { method, url, expect: outcome },
  {
    user: nonEmptyText,
    groups: listOf(nonEmptyText),
    nobody: onlyTrue,
    permissions: listOf(nonEmptyText),
    staff: onlyTrue,
    superuser: onlyTrue,
    from: text,
    rule,
  },
)

const line: Judge = (value, at) => [...keysOfLine(value, at), ...whoProblems(value, at)]

function whoProblems(value: unknown, at: FileProblem[0]): FileProblem[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return []
  const who = ['user', 'groups', 'nobody'].filter((key) => Object.hasOwn(value, key))
  const assumed = ['permissions', 'staff', 'superuser'].filter((key) => Object.hasOwn(value, key))
  return [
    ...(who.length === 1 ? [] : [[at, 'must have one of user, groups and nobody'] as FileProblem]),
    ...(who.includes('groups') ? [] : assumed.map((key): FileProblem => [[...at, key], 'belongs to groups alone'])),
  ]
}

interface Line {
  readonly user?: string
  readonly groups?: readonly string[]
  readonly permissions?: readonly string[]
  readonly staff?: true
  readonly superuser?: true
  readonly method: string
  readonly url: string
  readonly from?: string
  readonly expect: Outcome
  readonly rule?: number | string
}

/** @throws `file_unreadable` with the place of every problem */
export function readExpectations(file: string): readonly PlacedExpectation[] {
  const { value, positionOf } = readCheckedFile(file, listOf(line), REMEDY)
  return (value as readonly Line[]).map((each, index) => ({ ...expectationOf(each), ...positionOf([index]) }))
}

function expectationOf({ method, url, expect, from, rule, ...who }: Line): Expectation {
  return { who: whoOf(who), method, url, expect, from, rule }
}

function whoOf({ user, groups, permissions = [], staff, superuser }: Partial<Line>): Expectation['who'] {
  if (user !== undefined) return { user }
  if (groups === undefined) return 'nobody'
  return { rights: { groups, permissions, isStaff: staff === true, isSuperuser: superuser === true } }
}
