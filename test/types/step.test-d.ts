// The types of `gatehouse/step`, as the compiler of a custom step sees them; test/types.test.ts compiles this file.
import type { CustomStep, CustomStepAnswer, CustomStepDetails, CustomStepInput } from 'gatehouse/step'
import { equal, type Equal } from './equal.js'

export const continues: CustomStep = () => {}
export const continuesLater: CustomStep = async () => {}
export const refuses: CustomStep = () => ({ refuse: 'This account is closed.' })
export const renames: CustomStep = async ({ plan }) => ({ details: { name: plan.details?.name ?? null } })
export const decides: CustomStep = ({ claims, groupIds, plan }) => {
  if (claims.acct === 1 && groupIds.length === 0) return { refuse: 'Guest accounts need a group.' }
  if (!plan.user) return { details: { usernameSource: `new-${claims.oid}` } }
}

// @ts-expect-error a refusal has a sentence
export const withoutSentence: CustomStep = () => ({ refuse: true })
// @ts-expect-error groups come from groupMapping alone
export const grants: CustomStep = () => ({ groups: ['Administrators'] })
// @ts-expect-error the e-mail address is not a detail that a step may replace
export const readdresses: CustomStep = () => ({ details: { email: 'root@example.com' } })
// @ts-expect-error a boolean is no answer
export const allows: CustomStep = () => true
// @ts-expect-error there is one argument
export const takesMore: CustomStep = (_input: CustomStepInput, _next: () => void) => {}

equal<Equal<Parameters<CustomStep>, [input: CustomStepInput]>>()
equal<Equal<ReturnType<CustomStep>, CustomStepAnswer | Promise<CustomStepAnswer>>>()
equal<
  Equal<CustomStepAnswer, undefined | { readonly refuse: string } | { readonly details: CustomStepDetails }>
>()
equal<
  Equal<CustomStepDetails, {
    readonly name?: string | null
    readonly givenName?: string | null
    readonly familyName?: string | null
    readonly usernameSource?: string
  }>
>()
// @ts-expect-error a username must come from something
export const details: CustomStepDetails = { usernameSource: null }

export function replaces(input: CustomStepInput): void {
  // @ts-expect-error the input is read-only
  input.claims = { tid: '', oid: '', sub: '', iat: 0 }
  // @ts-expect-error the input is read-only
  input.groupIds = []
  // @ts-expect-error the input is read-only
  input.plan = {}
}

export function reads({ claims, groupIds, plan }: CustomStepInput): void {
  equal<Equal<typeof groupIds, readonly string[]>>()
  equal<Equal<typeof claims.oid, string>>()
  equal<Equal<typeof claims.iat, number>>()
  equal<Equal<typeof claims.upn, string | undefined>>()
  equal<Equal<typeof plan.username, string | undefined>>()
  equal<Equal<typeof plan.origin, 'known' | 'linked' | 'created' | undefined>>()
  equal<Equal<NonNullable<typeof plan.user>['isSuperuser'], boolean>>()
  // @ts-expect-error claims are read-only
  claims.oid = 'another'
  // @ts-expect-error groups are read-only
  groupIds.push('another')
  // @ts-expect-error the plan is read-only
  plan.username = 'root'
  // @ts-expect-error the claim may be absent
  claims.upn.toLowerCase()
  // @ts-expect-error no token is passed on
  void claims.access_token
}
