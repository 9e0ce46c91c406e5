// Access rules name existing groups and permissions: a rule with a misspelt name admits no one.
import { compileHost } from '../core/access-hosts.js'
import { isEnforced, permits, type AccessRules } from '../core/access.js'
import { failure, type Check, type Finding } from './finding.js'

interface LocalGroup {
  readonly name: string
  readonly permissions: readonly string[]
}

export interface AccessNamesOptions {
  readonly access: AccessRules
  /** The same for people to read. */
  readonly shown?: AccessRules
  /** The existing local groups. */
  readonly existing: () => Promise<readonly LocalGroup[]>
  readonly nearest: (name: string, known: readonly string[]) => string | undefined
}

export function accessNamesExist({ access, shown = access, existing, nearest }: AccessNamesOptions): Check {
  return async () => {
    const named = namesIn(access)
    if (named.length === 0) return []
    try {
      const groups = await existing()
      const known = {
        group: groups.map(({ name }) => name),
        permission: [...new Set(groups.flatMap(({ permissions }) => permissions))],
      }
      const texts = namesIn(shown)
      const missing = named.map((each, index) => ({ ...each, text: texts[index]?.name ?? each.name }))
        .filter(({ kind, name }) => !known[kind].includes(name))
      return missing.length === 0
        ? [{ state: 'ok', code: 'access_names', message: 'every group and permission of the access rules exists' }]
        : missing.map((each) => missingName({ ...each, name: each.text }, nearest(each.name, known[each.kind])))
    } catch (error) {
      return [
        failure(error, 'skipped', 'whether the groups and permissions of the access rules exist was not checked: '),
      ]
    }
  }
}

interface Named {
  readonly kind: 'group' | 'permission'
  readonly name: string
  readonly path: string
}

function namesIn({ rules }: AccessRules): readonly Named[] {
  return rules.flatMap(({ allow }, index) =>
    typeof allow === 'string' ? [] : [
      ...allow.groups.map((name, at): Named => ({
        kind: 'group',
        name,
        path: `access.rules[${index}].allow.groups[${at}]`,
      })),
      ...allow.permissions.map((name, at): Named => ({
        kind: 'permission',
        name,
        path: `access.rules[${index}].allow.permissions[${at}]`,
      })),
    ]
  )
}

function missingName({ kind, name, path }: Named, meant: string | undefined): Finding {
  const make = kind === 'group'
    ? `gatehouse groups add ${JSON.stringify(name)}`
    : `gatehouse groups grant GROUP ${name}`
  const message = kind === 'group'
    ? `${path} ${JSON.stringify(name)} is not a local group: it admits no one.`
    : `${path} ${JSON.stringify(name)} is a permission that no group has: it admits no one.`
  return {
    state: 'warn',
    code: `access_${kind}_missing`,
    path,
    message,
    remedy: meant === undefined
      ? make
      : `Did you mean ${JSON.stringify(meant)}? Names are compared exactly. If not: ${make}`,
  }
}

/** Only the step auth_allowed checks whether a user is a guest. */
export function guestsAreRefused({ authAllowed, pipeline }: {
  readonly authAllowed: { readonly guests: boolean }
  readonly pipeline: readonly string[]
}): boolean {
  return !authAllowed.guests && pipeline.includes('auth_allowed')
}

/** Guests of the tenant count as signed in: `authenticated` includes more than the organisation's users. */
export function guestsAreMeant(access: AccessRules, guestsMaySignIn: boolean): readonly Finding[] {
  if (!guestsMaySignIn) return []
  const withoutRights = { groups: [], permissions: [], isStaff: false, isSuperuser: false }
  const enforced = access.rules.flatMap((rule, index) =>
    isEnforced(rule) ? [{ allow: rule.allow, path: `access.rules[${index}].allow` }] : []
  )
  const open = [...enforced, { allow: access.default, path: 'access.default' }]
  const [first, ...more] = open.filter(({ allow }) => allow !== 'anyone' && permits(allow, withoutRights))
  if (!first) return []
  const where = [first, ...more].map(({ path }) => path).join(', ')
  return [{
    state: 'warn',
    code: 'guests_authenticated',
    path: first.path,
    message: `${where}: authenticated lets guests of the tenant in too, whom any user may have invited.`,
    remedy:
      'Keep guests out with the step auth_allowed, authAllowed.guests: false and the optional claim acct (without it ' +
      'every user is refused), assign the application in Entra ID to your own users, or require groups or permissions.',
  }]
}

/** Without the claim, members and guests are indistinguishable, and every sign-in is refused. */
export function guestsAreDistinguishable(guestsRefused: boolean): readonly Finding[] {
  if (!guestsRefused) return []
  return [{
    state: 'skipped',
    code: 'acct_claim',
    message:
      'authAllowed.guests: false refuses every sign-in unless the optional claim acct is registered, which was not ' +
      'checked',
    remedy: 'Add acct in Entra ID under Token configuration, token type ID; gatehouse doctor checks it.',
  }]
}

/**
 * A rule for one host does not decide about the others, and a proxy may send another host than the rules are written
 * for.
 */
export function defaultIsMeant({ default: fallback, rules }: AccessRules): readonly Finding[] {
  if (!rules.some(isEnforced) || fallback === 'deny') return [] // guard: adv-default-opens
  const message =
    'access.default: every host that no rule names is open to every user who is signed in, also where a proxy sends ' +
    'another host than the rules were written for.'
  const remedy =
    'Set access.default to deny and write a rule for each host. The metric gatehouse_access_unnamed_host_total ' +
    'counts such answers.'
  return [{ state: 'warn', code: 'default_opens_hosts', path: 'access.default', message, remedy }]
}

/** The client chooses the port in Host, so that port decides nothing. */
export function portsComeFromTheProxy({ rules }: AccessRules): readonly Finding[] {
  return rules.flatMap(({ hosts }, index) =>
    hosts.flatMap((host, at): Finding[] => {
      if (compileHost(host).port === undefined) return [] // guard: adv-rule-port
      const path = `access.rules[${index}].hosts[${at}]`
      const message =
        `${path} ${JSON.stringify(host)} names a port. Only the proxy knows which port it was reached on: ` +
        'without X-Forwarded-Port every rule of the host counts for every port, and the least permission.'
      return [{
        state: 'warn',
        code: 'rule_port',
        path,
        message,
        remedy:
          'Let the proxy send X-Forwarded-Port as a constant of the site, as the files in config/proxies do; or ' +
          'leave the port out of the rule.',
      }]
    })
  )
}

/**
 * A separator inside a name is encoded in headers; an application that does not decode it gets an unknown name.
 */
export function separatorsNotInNames(separators: readonly string[], existing: AccessNamesOptions['existing']): Check {
  return async () => {
    if (separators.length === 0) return []
    try {
      return (await existing()).flatMap(({ name }): Finding[] => {
        const inside = separators.find((separator) => name.includes(separator))
        return inside === undefined
          ? []
          : [{
            state: 'warn',
            code: 'group_name_separator',
            path: 'headers.extra',
            message: `the local group ${JSON.stringify(name)} holds ${
              JSON.stringify(inside)
            }, which headers.extra uses as a separator.`,
            remedy: 'Rename it (gatehouse groups rename), or choose another separator.',
          }]
      })
    } catch (error) {
      return [failure(error, 'skipped', 'whether names of groups hold a separator was not checked: ')]
    }
  }
}
