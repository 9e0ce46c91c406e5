// `gatehouse users add|activate|deactivate|remove`: changes to one person.
import type { PersonView } from '../core/people.js'
import { createUserAdmin, type UserAdmin } from '../store/user-admin.js'
import { cliActor, EXIT, noteNamesakes, print, printJson, withDatabase, type CommonOptions } from './context.js'

export async function usersAdd(
  username: string,
  options: CommonOptions & { readonly email?: string, readonly breakGlass?: boolean },
): Promise<number> {
  await withDatabase(
    options,
    ({ database }) =>
      createUserAdmin(database).add({ username, email: options.email, breakGlass: options.breakGlass }, cliActor()),
  )
  if (options.json) printJson({ added: username })
  else print(`Added ${username}.`)
  return EXIT.ok
}

export async function usersActivate(user: string, options: CommonOptions): Promise<number> {
  return await setActive(user, true, options)
}

export async function usersDeactivate(user: string, options: CommonOptions): Promise<number> {
  return await setActive(user, false, options)
}

export async function usersRemove(user: string, options: CommonOptions): Promise<number> {
  const { person, result: ended } = await onPerson(user, options, (admin, found) => admin.remove(found.id, cliActor()))
  if (options.json) printJson({ removed: person.username, sessionsEnded: ended })
  else print(`Removed ${person.username}; ${sessions(ended)} ended. The username stays reserved.`)
  return EXIT.ok
}

async function setActive(user: string, active: boolean, options: CommonOptions): Promise<number> {
  const { person, result: ended } = await onPerson(
    user,
    options,
    (admin, found) => admin.setActive(found.id, active, cliActor()),
  )
  const word = active ? 'active' : 'inactive'
  if (options.json) {
    printJson({ user: person.username, active, changed: ended !== undefined, sessionsEnded: ended ?? 0 })
  } else if (ended === undefined) print(`${person.username} is ${word} already.`)
  else print(`${person.username} is ${word} now${active ? '' : `; ${sessions(ended)} ended`}.`)
  return EXIT.ok
}

function onPerson<T>(
  user: string,
  options: CommonOptions,
  work: (admin: UserAdmin, person: PersonView) => Promise<T>,
): Promise<{ person: PersonView, result: T }> {
  return withDatabase(options, async ({ database, people }) => {
    const person = await people.find(user)
    noteNamesakes(person)
    return { person, result: await work(createUserAdmin(database), person) }
  })
}

function sessions(count: number): string {
  return `${count} ${count === 1 ? 'session' : 'sessions'}`
}
