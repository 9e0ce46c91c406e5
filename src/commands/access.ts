// `gatehouse access test`: the decision that the proxy would get, and why, without a request of a proxy.
import { createAccessTestAdmin, type AccessTestResult, type TestedShadowRule } from '../admin/access-test.js'
import type { JudgedRule } from '../admin/evaluated.js'
import { asWritten } from '../config/as-written.js'
import type { Position } from '../config/problem.js'
import { ruleTitle, type Decision } from '../core/access.js'
import { targetUrl } from '../core/target.js'
import { networkTest } from '../net/networks.js'
import { EXIT, print, printJson, readConfigInForce, type CommonOptions } from './context.js'
import { printGroupsRead } from './entra-groups.js'
import { policyPorts } from './policy-ports.js'

export interface AccessTestOptions extends CommonOptions {
  readonly user?: string
  readonly method: string
  readonly from?: string
}

type PositionedRule = JudgedRule & Position

export async function accessTest(url: string, options: AccessTestOptions): Promise<number> {
  const { config, file, positionOf } = await readConfigInForce(options)
  const { method, user, from: address } = options
  const { users, localGroups } = policyPorts(options)
  const written = asWritten(config)
  const ports = { policy: () => config, shown: () => written, users, localGroups, networkTest }
  const admin = createAccessTestAdmin(ports)
  const result = await admin.test({ url, method, user, address })
  const rules = result.rules.map((rule) => ({ ...rule, ...positionOf(rule.path) }))
  if (options.json) {
    printResultJson(result, rules)
    return EXIT.ok
  }
  printDecision(result, rules, { user, file })
  for (const shadow of result.shadowRules) printShadow(shadow, `${file}:${place(positionOf(shadow.path))}`)
  if (result.notes.includes('address_needed')) {
    print('    Rules with networks may or may not match: use --from ADDRESS.')
  }
  printMemberships(result)
  return EXIT.ok
}

function printResultJson(result: AccessTestResult, rules: readonly PositionedRule[]): void {
  const { user, target, decision, withoutPort, read, notHit } = result
  printJson({
    allowed: decision.allow,
    allowedWithoutPort: withoutPort.allow,
    reason: decision.allow ? null : decision.reason,
    rule: decision.grounds.path,
    name: decision.grounds.name ?? null,
    method: target.method,
    url: targetUrl(target),
    user: user?.username ?? null,
    entra: user?.snapshot && { readAt: user.snapshot.readAt, memberships: read, rowsNotHit: notHit },
    rules: rules.map(({ path, name, allows, lets, because, line }) => ({
      rule: path,
      name,
      line,
      allows,
      lets,
      because,
    })),
    shadowRules: result.shadowRules.map(({ path, ...shadow }) => ({ rule: path, ...shadow })),
  })
}

function printDecision(
  { user: evaluated, target, decision, withoutPort }: AccessTestResult,
  rules: readonly PositionedRule[],
  { user, file }: { readonly user: string | undefined, readonly file: string },
): void {
  const who = user === undefined
    ? 'anonymous (not signed in)'
    : evaluated?.username ?? `${user}, who is deactivated and counts as anonymous`
  print(`${verdictOf(decision)}: ${target.method} ${targetUrl(target)} by ${who}`)
  if (rules.length > 1) {
    print('    The path, the method or the address can be read in several ways; each of these must let them in:')
  }
  for (const { path, name, allows, lets, because, ...position } of rules) {
    print(`    ${name ?? path} (${file}:${place(position)}) is open to ${allows}: ${lets ? 'yes' : 'no'}, ${because}`)
  }
  if (withoutPort.allow !== decision.allow) {
    const verdict = withoutPort.allow ? 'allowed' : 'refused'
    print(
      `    The proxy must send X-Forwarded-Port: ${target.port}. Without it every port that a rule names counts: ` +
        `${verdict} (${ruleTitle(withoutPort.grounds)}).`,
    )
  }
}

function place({ line, column }: Position): string {
  return `${line}:${column}`
}

const WOULD: Readonly<Record<TestedShadowRule['would'], string>> = {
  allowed: 'would have let it in',
  not_signed_in: 'would have asked for a sign-in',
  not_allowed: 'would have refused it',
}

function printShadow({ path, name, allows, would, differs }: TestedShadowRule, at: string): void {
  print(`    shadow rule ${name ?? path} (${at}) ${WOULD[would]}${differs ? '' : ' too'}: it is open to ${allows}`)
}

function verdictOf(decision: Decision): string {
  if (decision.allow) return 'allowed'
  return decision.reason === 'not_signed_in' ? 'must sign in' : 'refused'
}

function printMemberships({ user, read, notHit }: AccessTestResult): void {
  if (user?.snapshot === undefined) return
  const { readAt } = user.snapshot
  print(`Memberships in Entra ID of ${user.username} at ${readAt.slice(0, 19)} (gatehouse explain asks again):`)
  printGroupsRead(read, notHit)
}
