// `gatehouse users rename|release`: renames a user, and releases a reserved name of a former user.
import { RELEASED_NAME_DAYS, usernameKey } from '../core/user.js'
import { commandProcess } from './command-process.js'
import { cliActing, EXIT, noteNamesakes, print, printJson, withDatabase, type CommonOptions } from './context.js'

export type ReleaseOptions = CommonOptions & { readonly yes?: boolean, readonly now?: boolean }

export async function usersRename(user: string, name: string, options: CommonOptions): Promise<number> {
  const { person, before, changed } = await withDatabase(options, async ({ acts, people }) => {
    const person = await people.find(user)
    noteNamesakes(person)
    return { person, ...await acts.people.rename(person.id, name, cliActing()) }
  })
  if (options.json) printJson({ id: person.id, before: person.username, username: name, changed })
  else if (!changed) print(`${name} has this name already.`)
  else print(`${before} is ${name} now.${usernameKey(before) === usernameKey(name) ? '' : KEPT}`)
  return EXIT.ok
}

const KEPT = ` Others may have the old name after ${RELEASED_NAME_DAYS} days, or when it is released with --now.`

export async function usersRelease(name: string, options: ReleaseOptions): Promise<number> {
  if (!options.yes) { // guard: adv-release-asks
    commandProcess().stderr.write(
      'gatehouse: to applications the next holder of this name IS the one before: confirm with --yes\n',
    )
    return EXIT.usage
  }
  const now = options.now ?? false
  const { availableFrom } = await withDatabase(
    options,
    ({ acts }) => acts.people.releaseName(name, now, cliActing()),
  )
  if (options.json) printJson({ released: name, availableFrom })
  else print(`${name} is released: others may have it ${availableFrom === null ? 'now' : `from ${availableFrom} on`}.`)
  return EXIT.ok
}
