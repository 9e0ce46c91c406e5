// `gatehouse access test`: the decision that the proxy would get, and why, without a request of a proxy.
import type { Position } from '../config/problem.js'
import {
  compileAccess,
  describeAllow,
  permits,
  type Allow,
  type Decision,
  type Grounds,
  type SessionRights,
} from '../core/access.js'
import { groupsRead, rowsNotHit, type GroupRead, type RowNotHit } from '../core/entra-groups.js'
import { createGroupMapping, type Cause, type GroupMapping } from '../core/mapping.js'
import { GatehouseError } from '../core/errors.js'
import { parseTargetUrl, targetUrl, type Target } from '../core/target.js'
import { networkTest } from '../net/networks.js'
import type { GroupView } from '../core/groups.js'
import { createGroupStore } from '../store/groups.js'
import { membershipSnapshot, type MembershipSnapshot } from '../store/membership-snapshots.js'
import type { PersonView } from '../core/people.js'
import { printGroupsRead } from './entra-groups.js'
import { EXIT, print, printJson, readConfig, withDatabase, type CommonOptions } from './context.js'

export interface AccessTestOptions extends CommonOptions {
  readonly user?: string
  readonly method: string
  readonly from?: string
}

interface EvaluatedUser extends SessionRights {
  readonly username: string
  readonly from: readonly GroupView[]
  /** Why they have a group, or are staff or superuser: ", because of Network team". */
  readonly groupReason: (name: string) => string
  readonly staffReason: string
  readonly superuserReason: string
  /** Undefined: not signed in yet, or never asked about. */
  readonly reading: MembershipSnapshot | undefined
}

export async function accessTest(url: string, options: AccessTestOptions): Promise<number> {
  const { config, file, positionOf } = readConfig(options)
  const target = asReached(targetOf(url, options.method))
  const { user } = options
  const person = user === undefined ? undefined : await withDatabase(options, async ({ database, people }) => {
    const found = await people.find(user)
    const mapping = createGroupMapping(config.groupMapping)
    return evaluatedUser(
      found,
      await createGroupStore(database).list(),
      mapping,
      await membershipSnapshot(database, found.id),
    )
  })
  const policy = compileAccess(config.access, networkTest)
  const request = { target, address: () => options.from }
  const ids = person?.reading?.entraGroupIds ?? []
  const result: AccessTestResult = {
    user,
    person,
    target,
    decision: policy.decide(request, person),
    withoutPort: policy.decide({ ...request, target: { ...target, port: undefined } }, person),
    rules: policy.grounds(request).map((grounds) => ({ ...judged(grounds, person), ...positionOf(grounds.path) })),
    read: groupsRead(config.groupMapping, ids),
    notHit: rowsNotHit(config.groupMapping, ids),
  }
  if (options.json) {
    printResultJson(result)
    return EXIT.ok
  }
  printDecision(result, file)
  if (options.from === undefined && config.access.rules.some(({ networks }) => networks !== undefined)) {
    print('    Rules with networks may or may not match: use --from ADDRESS.')
  }
  printMemberships(result)
  return EXIT.ok
}

interface AccessTestResult {
  readonly user: string | undefined
  readonly person: EvaluatedUser | undefined
  readonly target: Target
  readonly decision: Decision
  /** The decision if the proxy does not send the port. */
  readonly withoutPort: Decision
  readonly rules: readonly (ReturnType<typeof judged> & Position)[]
  readonly read: readonly GroupRead[]
  readonly notHit: readonly RowNotHit[]
}

function printResultJson({ person, target, decision, withoutPort, rules, read, notHit }: AccessTestResult): void {
  printJson({
    allowed: decision.allow,
    allowedWithoutPort: withoutPort.allow,
    reason: decision.allow ? null : decision.reason,
    rule: decision.grounds.path,
    method: target.method,
    url: targetUrl(target),
    user: person?.username ?? null,
    entra: person?.reading && { readAt: person.reading.readAt, memberships: read, rowsNotHit: notHit },
    rules: rules.map(({ path, allows, lets, because, line }) => ({ rule: path, line, allows, lets, because })),
  })
}

function printDecision({ user, person, target, decision, withoutPort, rules }: AccessTestResult, file: string): void {
  const who = user === undefined
    ? 'anonymous (not signed in)'
    : person?.username ?? `${user}, who is deactivated and counts as anonymous`
  print(`${verdictOf(decision)}: ${target.method} ${targetUrl(target)} by ${who}`)
  if (rules.length > 1) {
    print('    The path, the method or the address can be read in several ways; each of these must let them in:')
  }
  for (const { path, allows, lets, because, line, column } of rules) {
    print(`    ${path} (${file}:${line}:${column}) is open to ${allows}: ${lets ? 'yes' : 'no'}, ${because}`)
  }
  if (withoutPort.allow !== decision.allow) {
    const verdict = withoutPort.allow ? 'allowed' : 'refused'
    print(
      `    The proxy must send X-Forwarded-Port: ${target.port}. Without it every port that a rule names counts: ` +
        `${verdict} (${withoutPort.grounds.path}).`,
    )
  }
}

function verdictOf(decision: Decision): string {
  if (decision.allow) return 'allowed'
  return decision.reason === 'not_signed_in' ? 'must sign in' : 'refused'
}

function printMemberships({ person, read, notHit }: AccessTestResult): void {
  if (person?.reading !== undefined) {
    print(
      `Memberships in Entra ID of ${person.username} at ${
        person.reading.readAt.slice(0, 19)
      } (gatehouse explain asks again):`,
    )
    printGroupsRead(read, notHit)
  }
}

function targetOf(url: string, method: string): Target {
  try {
    return parseTargetUrl(url, method)
  } catch (error) {
    if (!(error instanceof GatehouseError) || error.remedy !== undefined) throw error
    const remedy = `Write the whole address: ${
      url.includes('://') ? 'https://host/path' : `https://${url.replace(/^\/+/, '')}`
    }`
    throw new GatehouseError(error.code, { cause: error, detail: error.message, remedy, facts: error.facts })
  }
}

/** For a proxy that sends the port on which it was reached. */
function asReached(target: Target): Target {
  return { ...target, port: target.namedPort ?? (target.scheme === 'https' ? '443' : '80') }
}

/** An inactive user counts as anonymous. */
function evaluatedUser(
  person: PersonView,
  all: readonly GroupView[],
  mapping: GroupMapping,
  reading: MembershipSnapshot | undefined,
): EvaluatedUser | undefined {
  if (!person.isActive) return undefined
  const from = all.filter(({ name }) => person.groups.some((group) => group.name === name))
  const because = (cause: readonly Cause[] | null | undefined): string =>
    cause ? `, because of ${mapping.namesOf(cause).join(' and ')}` : ', set by hand'
  return {
    username: person.username,
    groups: from.map(({ name }) => name),
    permissions: [...new Set(from.flatMap(({ permissions }) => permissions))],
    isStaff: person.isStaff,
    isSuperuser: person.isSuperuser,
    from,
    reading,
    groupReason: (name) => because(person.groups.find((group) => group.name === name)?.cause),
    staffReason: because(person.staffCause),
    superuserReason: because(person.superuserCause),
  }
}

function judged({ path, allow }: Grounds, person: EvaluatedUser | undefined) {
  const lets = permits(allow, person)
  return {
    path,
    allows: describeAllow(allow),
    lets,
    because: lets ? because(allow, person) : refusalReason(person),
  }
}

function refusalReason(person: EvaluatedUser | undefined): string {
  return person === undefined ? 'no user is signed in' : `${person.username} is none of these`
}

function because(allow: Allow, person: EvaluatedUser | undefined): string {
  if (allow === 'anyone' || person === undefined) return 'it asks for nothing'
  if (person.isSuperuser) return `${person.username} is a superuser${person.superuserReason}`
  if (typeof allow === 'string') return `${person.username} is signed in`
  const { groups, permissions } = allow
  if (allow.staff && person.isStaff) return `${person.username} is staff${person.staffReason}`
  const group = groups.find((name) => person.groups.includes(name))
  if (group !== undefined) return `${person.username} is a member of ${group}${person.groupReason(group)}`
  const permission = permissions.find((name) => person.permissions.includes(name)) ?? ''
  const through = person.from.filter((each) => each.permissions.includes(permission)).map(({ name }) => name)
  const because = through.map((name) => `${name}${person.groupReason(name)}`).join(' and ')
  return `${person.username} holds ${permission}, through ${because}`
}
