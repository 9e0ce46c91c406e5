// `gatehouse groups rename|remove|grant|revoke`: one group at a time.
import { cliActing, EXIT, print, printJson, withDatabase, type CommonOptions } from './context.js'

export async function groupsRename(name: string, to: string, options: CommonOptions): Promise<number> {
  const { mappingRows, rules } = await withDatabase(
    options,
    ({ acts: { groups } }) => groups.change(name, { name: to }, cliActing()),
  )
  if (options.json) printJson({ renamed: name, to, mappingRows, rules })
  else {
    print(`Renamed ${name} to ${to}.`)
    if (mappingRows.length > 0) {
      print(
        `groupMapping still names ${name} (row ${
          mappingRows.join(', ')
        }): put ${to} there, or its members lose the group at their next login.`,
      )
    }
    if (rules.length > 0) print(`${rules.join(', ')} still names ${name}: put ${to} there, or its members lose access.`)
  }
  return EXIT.ok
}

/** A group that the configuration names is not removed by accident. */
export async function groupsRemove(
  name: string,
  { force = false, ...options }: CommonOptions & { readonly force?: boolean },
): Promise<number> {
  const { members } = await withDatabase(
    options,
    ({ acts: { groups } }) => groups.remove(name, { force }, cliActing()),
  )
  if (options.json) printJson({ removed: name, members })
  else print(`Removed ${name}; ${members} ${members === 1 ? 'person was' : 'people were'} in it.`)
  return EXIT.ok
}

export async function groupsGrant(name: string, permission: string, options: CommonOptions): Promise<number> {
  const result = await withDatabase(options, ({ acts: { groups } }) => groups.grant(name, permission, cliActing()))
  if (options.json) printJson(result)
  else print(result.changed ? `${name} now has ${permission}.` : `${name} has ${permission} already.`)
  return EXIT.ok
}

export async function groupsRevoke(name: string, permission: string, options: CommonOptions): Promise<number> {
  const result = await withDatabase(options, ({ acts: { groups } }) => groups.revoke(name, permission, cliActing()))
  if (options.json) printJson(result)
  else print(result.changed ? `${name} no longer has ${permission}.` : `${name} does not have ${permission}.`)
  return EXIT.ok
}
