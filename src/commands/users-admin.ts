// `gatehouse users add|activate|deactivate|remove`: changes to one person.
import type { PeopleActs } from '../admin/acts/people.js'
import type { PersonView } from '../core/people.js'
import { cliActing, EXIT, noteNamesakes, print, printJson, withDatabase, type CommonOptions } from './context.js'

export async function usersAdd(
  username: string,
  options: CommonOptions & { readonly email?: string, readonly breakGlass?: boolean },
): Promise<number> {
  await withDatabase(
    options,
    ({ acts: { people } }) =>
      people.add({ username, email: options.email, breakGlass: options.breakGlass }, cliActing()),
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
  const { person, result: { sessionsEnded: ended } } = await onPerson(
    user,
    options,
    (people, found) => people.remove(found.id, cliActing()),
  )
  if (options.json) printJson({ removed: person.username, sessionsEnded: ended })
  else print(`Removed ${person.username}; ${sessions(ended)} ended. The username stays reserved.`)
  return EXIT.ok
}

async function setActive(user: string, active: boolean, options: CommonOptions): Promise<number> {
  const { person, result: { changed, sessionsEnded: ended } } = await onPerson(
    user,
    options,
    (people, found) => people.setActive(found.id, active, cliActing()),
  )
  const word = active ? 'active' : 'inactive'
  if (options.json) {
    printJson({ user: person.username, active, changed, sessionsEnded: ended })
  } else if (!changed) print(`${person.username} is ${word} already.`)
  else print(`${person.username} is ${word} now${active ? '' : `; ${sessions(ended)} ended`}.`)
  return EXIT.ok
}

function onPerson<T>(
  user: string,
  options: CommonOptions,
  work: (people: PeopleActs, person: PersonView) => Promise<T>,
): Promise<{ person: PersonView, result: T }> {
  return withDatabase(options, async ({ acts, people }) => {
    const person = await people.find(user)
    noteNamesakes(person)
    return { person, result: await work(acts.people, person) }
  })
}

function sessions(count: number): string {
  return `${count} ${count === 1 ? 'session' : 'sessions'}`
}
