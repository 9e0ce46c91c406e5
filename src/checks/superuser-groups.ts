// Who can join the Entra groups that make superusers. Any user can join a public Microsoft 365 group, and if it is
// mapped to superuser every user can become an administrator (learn.microsoft.com, "group resource type", visibility).
import type { MappingRow } from '../core/mapping.js'
import { failure, type Check, type Finding } from './finding.js'

/** The properties of a group in Graph; undefined where there is none. */
export type AskGroup = (
  id: string,
) => Promise<
  { readonly displayName: string | null, readonly open: boolean, readonly securityEnabled: boolean | null } | undefined
>

export function superuserGroupsClosed(mapping: readonly MappingRow[], group: AskGroup): Check {
  return async () => {
    const rows = mapping.flatMap(({ superuser, entraGroup }, index) =>
      superuser ? [{ entraGroup, path: `groupMapping[${index}].entraGroup` }] : []
    )
    const findings: Finding[] = []
    for (const { entraGroup, path } of rows) {
      try {
        findings.push(judge(await group(entraGroup), path))
      } catch (error) {
        return [
          ...findings,
          failure(error, 'skipped', 'who can join the groups that make superusers was not checked: '),
        ]
      }
    }
    return findings
  }
}

function judge(facts: Awaited<ReturnType<AskGroup>>, path: string): Finding {
  if (!facts) {
    return {
      state: 'warn',
      code: 'entra_group_missing',
      path,
      message: `${path} makes superusers, but Entra ID has no such group.`,
      remedy: "Copy the Object ID from the group's page in the Entra admin center, or remove the row.",
    }
  }
  const name = facts.displayName === null ? 'a group' : JSON.stringify(facts.displayName)
  if (facts.open) {
    return {
      state: 'warn',
      code: 'superuser_group_open',
      path,
      message:
        `${path} makes superusers of ${name}, a public Microsoft 365 group: any user of the organisation may join it.`,
      remedy:
        'Map a security group with assigned members, best one that is role-assignable, or make the group private.',
    }
  }
  if (facts.securityEnabled === false) {
    return {
      state: 'warn',
      code: 'superuser_group_not_security',
      path,
      message: `${path} makes superusers of ${name}, which is no security group: ` +
        'its owners admit members, not your administrators.',
      remedy: 'Map a security group with assigned members.',
    }
  }
  return {
    state: 'ok',
    code: 'superuser_group_closed',
    path,
    message: `${name} is not open: users cannot join it by themselves`,
  }
}
