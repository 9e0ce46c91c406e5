// `gatehouse users rename|release`: renames a user, and releases a reserved name of a former user.
import { GatehouseError } from '../core/errors.js'
import { RELEASED_NAME_DAYS, usernameKey } from '../core/user.js'
import { createUsernames } from '../store/usernames.js'
import { commandProcess } from './command-process.js'
import {
  cliActor,
  EXIT,
  noteNamesakes,
  print,
  printJson,
  readConfig,
  withDatabase,
  type CommonOptions,
} from './context.js'

export type ReleaseOptions = CommonOptions & { readonly yes?: boolean, readonly now?: boolean }

export async function usersRename(user: string, name: string, options: CommonOptions): Promise<number> {
  refuseReserved(name, readConfig(options).config.reservedUsernames) // guard: adv-rename-reserved
  const { person, before } = await withDatabase(options, async ({ database, people }) => {
    const person = await people.find(user)
    noteNamesakes(person)
    return { person, before: await createUsernames(database).rename(person.id, name, cliActor()) }
  })
  const changed = before !== undefined
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
  const availableFrom = await withDatabase(
    options,
    ({ database }) => createUsernames(database).release(name, { now }, cliActor()),
  )
  if (options.json) printJson({ released: name, availableFrom })
  else print(`${name} is released: others may have it ${availableFrom === null ? 'now' : `from ${availableFrom} on`}.`)
  return EXIT.ok
}

function refuseReserved(name: string, reserved: readonly string[]): void {
  if (!reserved.some((each) => usernameKey(each) === usernameKey(name))) return
  throw new GatehouseError('username_reserved', {
    detail: `reservedUsernames in the configuration names ${name}`,
    remedy: 'Choose another name, or take this one out of reservedUsernames.',
  })
}
