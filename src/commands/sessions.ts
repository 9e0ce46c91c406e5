// `gatehouse sessions list|revoke`: who is signed in now, and making it stop.
import { allPages } from '../core/page.js'
import type { SessionCursor, SessionView } from '../core/sessions-list.js'
import { commandProcess } from './command-process.js'
import {
  cliActing,
  EXIT,
  noteNamesakes,
  print,
  printJson,
  readConfig,
  withDatabase,
  type CommandContext,
  type CommonOptions,
} from './context.js'
import { jsonOutput, printPages, tableOutput, type RowOutput } from './row-output.js'

export async function sessionsList(options: CommonOptions & { readonly user?: string }): Promise<number> {
  const { session } = readConfig(options).config
  await withDatabase(options, async ({ sessions, people }) => {
    const person = await userIdOf(options.user, people)
    const pages = allPages((after: SessionCursor | undefined) => sessions.list({ person, after }))
    await printPages(pages, options.json ? jsonOutput<SessionView>() : sessionTable(session))
  })
  return EXIT.ok
}

function sessionTable({ recordClient }: { readonly recordClient: boolean }): RowOutput<SessionView> {
  const client = ({ browser, address, host }: SessionView) => [browser ?? '', address ?? '', host ?? '']
  return tableOutput(
    ['ID', 'USERNAME', 'SIGNED IN', 'LAST SEEN', ...recordClient ? ['BROWSER', 'ADDRESS', 'HOST'] : []],
    (each) => [
      each.id,
      each.username,
      each.createdAt.slice(0, 19),
      each.lastSeenAt.slice(0, 19),
      ...recordClient ? client(each) : [],
    ],
    'No user is signed in.',
  )
}

/** Exactly one of an id, `--user` and `--all`. */
export async function sessionsRevoke(
  id: string | undefined,
  options: CommonOptions & { readonly user?: string, readonly all?: boolean },
): Promise<number> {
  if ([id, options.user, options.all].filter((each) => each !== undefined).length !== 1) {
    commandProcess().stderr.write('gatehouse: choose one of: sessions revoke ID, --user USER or --all\n')
    return EXIT.usage
  }
  const { ended } = await withDatabase(options, async ({ people, acts: { sessions } }) => {
    if (id !== undefined) return await sessions.end(id, cliActing())
    const userId = await userIdOf(options.user, people)
    return await (userId === undefined
      ? sessions.endAll({ all: true }, cliActing())
      : sessions.endOf(userId, cliActing()))
  })
  if (options.json) printJson({ revoked: ended })
  else print(`${ended} ${ended === 1 ? 'session' : 'sessions'} ended.`)
  return EXIT.ok
}

async function userIdOf(user: string | undefined, people: CommandContext['people']): Promise<string | undefined> {
  if (user === undefined) return undefined
  const person = await people.find(user)
  noteNamesakes(person)
  return person.id
}
