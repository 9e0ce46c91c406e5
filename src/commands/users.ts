// `gatehouse users ...`: who there is, and why each of them has what they have.
import { createGroupMapping, type Cause, type GroupMapping } from '../core/mapping.js'
import { allPages } from '../core/page.js'
import type { PeopleCursor, PersonView } from '../core/people.js'
import { EXIT, noteNamesakes, print, printJson, withDatabase, type CommonOptions } from './context.js'
import { jsonOutput, printPages, tableOutput, type RowOutput } from './row-output.js'

export interface UsersListOptions extends CommonOptions {
  readonly staff?: boolean
  readonly superuser?: boolean
  readonly search?: string
  readonly why?: boolean
}

export async function usersList(options: UsersListOptions): Promise<number> {
  const { search: q, staff, superuser } = options
  await withDatabase(options, async ({ people, config }) => {
    const pages = allPages((after: PeopleCursor | undefined) => people.listDetailed({ q, staff, superuser, after }))
    await printPages(pages, outputOf(options, createGroupMapping(config.groupMapping)))
  })
  return EXIT.ok
}

function outputOf({ json, why }: UsersListOptions, mapping: GroupMapping): RowOutput<PersonView> {
  if (json) return jsonOutput()
  const table = tableOutput(
    ['USERNAME', 'NAME', 'ACTIVE', 'STAFF', 'SUPERUSER', 'GROUPS', 'LAST LOGIN'],
    row,
    'No users.',
  )
  if (!why) return table
  let any = false
  return {
    add(people) {
      for (const person of people) printReasons(person, mapping)
      any ||= people.length > 0
    },
    end: () => any ? undefined : table.end(),
  }
}

export async function usersShow(user: string, options: CommonOptions): Promise<number> {
  const { person, mapping } = await withDatabase(options, async ({ people, config }) => ({
    person: await people.find(user),
    mapping: createGroupMapping(config.groupMapping),
  }))
  if (options.json) printJson(person)
  else printPerson(person, mapping)
  noteNamesakes(person) // guard: adv-namesake-noted
  return EXIT.ok
}

function row(person: PersonView): string[] {
  return [
    person.username,
    person.name ?? '',
    yes(person.isActive),
    yes(person.isStaff),
    yes(person.isSuperuser),
    String(person.groups.length),
    person.lastLoginAt?.slice(0, 19) ?? 'never',
  ]
}

function printReasons(person: PersonView, mapping: GroupMapping): void {
  print(person.username)
  printWhy(person, mapping)
}

function printPerson(person: PersonView, mapping: GroupMapping): void {
  print(`${person.username}${person.name === null ? '' : ` (${person.name})`}`)
  print(`  id           ${person.id}`)
  for (const { tid, oid, upn, upnSeenAt } of person.identities) {
    print(`  Entra        object ID ${oid} in tenant ${tid}`)
    print(`  UPN          ${upn === null ? 'not known yet' : `${upn}, as of ${upnSeenAt?.slice(0, 19) ?? '-'}`}`)
  }
  print(
    `  e-mail       ${person.email ?? '-'}${person.email !== null && !person.emailVerified ? ' (not verified)' : ''}`,
  )
  print(`  active       ${yes(person.isActive)}${person.isBreakGlass ? '; break-glass' : ''}`)
  print(`  last login   ${person.lastLoginAt ?? 'never'}; active sessions ${person.liveSessions}`)
  if (person.readAt !== null) print(`  last reading ${person.entraGroups} Entra groups at ${person.readAt}`)
  printWhy(person, mapping)
}

/** "Network Engineers, because of Network team (row 3), since 2026-11-21" */
function printWhy(person: PersonView, mapping: GroupMapping): void {
  const because = (cause: readonly Cause[] | null, since: string | null, until: string | null = null): string => {
    const day = since === null ? '' : `, since ${since.slice(0, 10)}`
    if (cause === null) return `, set by hand${day}${until === null ? '' : `, until ${new Date(until).toISOString()}`}`
    // guard: adv-command-label
    const names = cause.map(({ entraGroup, row }) => `${mapping.nameOf(entraGroup)} (row ${row})`)
    return `, because of ${names.join(' and ')}${day}`
  }
  if (person.isStaff) print(`  staff${because(person.staffCause, person.staffSince)}`)
  if (person.isSuperuser) print(`  superuser${because(person.superuserCause, person.superuserSince)}`)
  for (const { name, cause, since, until } of person.groups) print(`  ${name}${because(cause, since, until)}`)
  if (!person.isStaff && !person.isSuperuser && person.groups.length === 0) print('  nothing is granted')
}

function yes(value: boolean): string {
  return value ? 'yes' : 'no'
}
