// `gatehouse groups ...`: local groups and their permissions. A login never makes one.
import { formatGroupsFile } from '../admin/groups-file.js'
import type { GroupView } from '../core/groups.js'
import { allPages } from '../core/page.js'
import { commandProcess } from './command-process.js'
import { cliActing, EXIT, print, printJson, printTable, withDatabase, type CommonOptions } from './context.js'
import { readGroupsFile } from './groups-file.js'

export async function groupsList(options: CommonOptions): Promise<number> {
  const groups = await withDatabase(options, async (context) => {
    const rows: GroupView[] = []
    const pages = allPages((after: string | undefined) => context.groups.list({ after }))
    for await (const page of pages) rows.push(...page.map(viewOf))
    return rows
  })
  if (options.json) printJson(groups)
  else {
    printTable(
      ['NAME', 'MEMBERS', 'PERMISSIONS', 'DESCRIPTION'],
      groups.map((group) => [group.name, String(group.members), group.permissions.join(' '), group.description]),
      'There are no groups yet: gatehouse groups add NAME',
    )
  }
  return EXIT.ok
}

/** What the command prints of a group: the console shows more. */
function viewOf({ name, description, permissions, members }: GroupView): GroupView {
  return { name, description, permissions, members }
}

export async function groupsAdd(
  name: string,
  options: CommonOptions & { readonly description?: string },
): Promise<number> {
  const added = await withDatabase(
    options,
    ({ acts: { groups } }) => groups.add({ name, description: options.description }, cliActing()),
  )
  if (options.json) printJson(added)
  else print(`Added ${name}.`)
  return EXIT.ok
}

export async function groupsApply(
  file: string,
  { dryRun = false, ...options }: CommonOptions & { readonly dryRun?: boolean },
): Promise<number> {
  const definitions = readGroupsFile(file)
  const applied = await withDatabase(
    options,
    ({ acts: { groups } }) => groups.apply(definitions, { dryRun }, cliActing()),
  )
  if (options.json) printJson(applied)
  else {
    const { changes } = applied
    for (const { name, change, value } of changes) print(`${name}: ${change}${value === undefined ? '' : ` ${value}`}`)
    print(summaryOf(changes.length, dryRun))
  }
  return EXIT.ok
}

function summaryOf(count: number, dryRun: boolean): string {
  if (count === 0) return 'Nothing to change.'
  if (dryRun) return 'Nothing was changed (--dry-run).'
  return `${count} ${count === 1 ? 'change' : 'changes'}.`
}

export async function groupsExport(options: CommonOptions): Promise<number> {
  const groups = await withDatabase(options, (context) => context.groups.all())
  if (options.json) {
    printJson({ groups: groups.map(({ name, description, permissions }) => ({ name, description, permissions })) })
  } else commandProcess().stdout.write(formatGroupsFile(groups))
  return EXIT.ok
}
