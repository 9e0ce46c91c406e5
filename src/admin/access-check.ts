// Expectations about requests, compared with what the access rules decide: the use case of `gatehouse access check`,
// and the line of such a file that a tested request makes.
import type { SessionRights } from '../core/access.js'
import { ruleTitle } from '../core/access.js'
import { GatehouseError, type ErrorCode } from '../core/errors.js'
import type { AccessTestAdmin, AccessTestInput, AccessTestResult } from './access-test.js'

export const OUTCOMES = ['allow', 'deny', 'sign-in'] as const
export type Outcome = typeof OUTCOMES[number]

export interface Expectation {
  /** `nobody`: an anonymous request. */
  readonly who: { readonly user: string } | { readonly rights: SessionRights } | 'nobody'
  readonly method: string
  readonly url: string
  /** The client's address; undefined: not known, so that rules with networks may match or not. */
  readonly from: string | undefined
  readonly expect: Outcome
  /** The rule that decides: its number, its key or its name. Undefined: any. */
  readonly rule: number | string | undefined
}

export interface CheckedExpectation {
  readonly expectation: Expectation
  readonly holds: boolean
  /** What was decided, or why nothing could be: there is no such user. */
  readonly found: Found | { readonly error: GatehouseError }
}

export interface Found {
  readonly outcome: Outcome
  /** The key of the rule that decides, such as `access.rules[2]`. */
  readonly path: string
  readonly name: string | null
  /** Whom it lets in, and whether the one who asked is among them, in words. */
  readonly allows: string
  readonly because: string
}

/** Of one line: the others are checked all the same. */
const LINE_ERRORS: ReadonlySet<ErrorCode> = new Set(['user_unknown', 'user_ambiguous', 'target_malformed'])

export function createAccessCheck(accessTest: AccessTestAdmin) {
  return {
    async check(expectation: Expectation): Promise<CheckedExpectation> {
      try {
        const found = foundIn(await accessTest.test(inputOf(expectation)))
        const holds = found.outcome === expectation.expect && isRule(expectation.rule, found)
        return { expectation, holds, found }
      } catch (error) {
        if (!(error instanceof GatehouseError) || !LINE_ERRORS.has(error.code)) throw error
        return { expectation, holds: false, found: { error } }
      }
    },
  }
}

function inputOf({ who, method, url, from: address }: Expectation): AccessTestInput {
  if (who === 'nobody') return { method, url, address }
  return 'user' in who ? { user: who.user, method, url, address } : { rights: who.rights, method, url, address }
}

function foundIn({ decision, rules }: AccessTestResult): Found {
  const { grounds: { path, name = null } } = decision
  const { allows = '', because = '' } = rules.find((rule) => rule.path === path) ?? {}
  return { outcome: outcomeOf(decision), path, name, allows, because }
}

function outcomeOf(decision: AccessTestResult['decision']): Outcome {
  if (decision.allow) return 'allow'
  return decision.reason === 'not_signed_in' ? 'sign-in' : 'deny'
}

function isRule(expected: number | string | undefined, { path, name }: Pick<Found, 'path' | 'name'>): boolean {
  if (expected === undefined) return true
  if (typeof expected === 'number') return path === `access.rules[${expected}]`
  return expected === path || expected === name
}

/** The line that holds while the decision is this one. @param user as it was written */
export function expectationLine(
  { user: named, method, url, address }: AccessTestInput,
  { user, inactive, decision }: AccessTestResult,
): string {
  const index = /^access\.rules\[(\d+)\]$/.exec(decision.grounds.path)?.[1]
  const facts: [string, unknown][] = [
    ...whoOf(inactive ? named : undefined, user),
    ['method', method],
    ['url', url],
    ...(address === undefined ? [] : [['from', address] as [string, unknown]]),
    ['expect', outcomeOf(decision)],
    ['rule', decision.grounds.name ?? (index === undefined ? ruleTitle(decision.grounds) : Number(index))],
  ]
  return `- { ${facts.map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join(', ')} }`
}

function whoOf(inactive: string | undefined, user: AccessTestResult['user']): [string, unknown][] {
  if (inactive !== undefined) return [['user', inactive]]
  if (user === undefined) return [['nobody', true]]
  if (user.userId !== '') return [['user', user.username]]
  return [
    ['groups', user.groups],
    ...(user.permissions.length === 0 ? [] : [['permissions', user.permissions] as [string, unknown]]),
    ...(user.isStaff ? [['staff', true] as [string, unknown]] : []),
    ...(user.isSuperuser ? [['superuser', true] as [string, unknown]] : []),
  ]
}
