// `gatehouse tokens add|list|revoke`: API tokens of programs. A token is printed once, by the command that makes it.
import { durationMs } from '../config/kinds/duration.js'
import { ADMIN_PERMISSIONS, isAdminPermission } from '../core/admin-permissions.js'
import { allPages } from '../core/page.js'
import { DAY_MS, TOKEN_LIFETIME_DAYS } from '../core/token.js'
import type { TokenCursor, TokenView } from '../core/tokens.js'
import { commandProcess } from './command-process.js'
import {
  cliActing,
  EXIT,
  noteNamesakes,
  print,
  printJson,
  printNote,
  withDatabase,
  type CommonOptions,
} from './context.js'
import { jsonOutput, printPages, tableOutput } from './row-output.js'

export interface TokensAddOptions extends CommonOptions {
  readonly admin?: boolean
  readonly owner: string
  readonly scope?: readonly string[]
  readonly expires: string
}

export async function tokensAdd(name: string, options: TokensAddOptions): Promise<number> {
  const scopes = [...new Set(options.scope ?? [])]
  const lifetimeMs = durationMs(options.expires) ?? 0
  const wrong = wrongUsage(options, scopes, lifetimeMs)
  if (wrong !== undefined) {
    commandProcess().stderr.write(`gatehouse: ${wrong}\n`)
    return EXIT.usage
  }
  const known = scopes.filter(isAdminPermission)
  const { id, token, owner, expiresAt } = await withDatabase(options, async ({ people, acts }) => {
    const person = await people.find(options.owner)
    noteNamesakes(person)
    return await acts.tokens.addAdmin({ name, ownerId: person.id, scopes: known, lifetimeMs }, cliActing())
  })
  if (options.json) printJson({ id, token, owner, expiresAt })
  else {
    print(token)
    printNote(
      `gatehouse: ${id} of ${owner} lasts until ${expiresAt.slice(0, 19)}. It is printed once: keep it now. ` +
        'It is worth what its scopes and the rights of its owner both allow.',
    )
  }
  return EXIT.ok
}

function wrongUsage({ admin }: TokensAddOptions, scopes: readonly string[], lifetimeMs: number): string | undefined {
  const words = Object.keys(ADMIN_PERMISSIONS).join(', ')
  if (admin !== true) return 'tokens add makes tokens of the admin API: say --admin'
  const unknown = scopes.filter((scope) => !isAdminPermission(scope))
  if (unknown.length > 0) return `${unknown.join(', ')} is no scope of the admin API; there are ${words}`
  if (scopes.length === 0) return `name at least one --scope of ${words}`
  if (lifetimeMs < 1_000 || lifetimeMs > TOKEN_LIFETIME_DAYS * DAY_MS) {
    return `--expires is a length of time of at most ${TOKEN_LIFETIME_DAYS}d, such as 12h or 90d`
  }
  return undefined
}

export async function tokensList(options: CommonOptions): Promise<number> {
  await withDatabase(options, async ({ tokens }) => {
    const pages = allPages((after: TokenCursor | undefined) => tokens.list({ after }))
    await printPages(pages, options.json ? jsonOutput<TokenView>() : tokenTable())
  })
  return EXIT.ok
}

function tokenTable() {
  return tableOutput<TokenView>(
    ['ID', 'NAME', 'OWNER', 'SCOPES', 'STATE', 'LAST USE', 'ENDS'],
    ({ id, name, owner, scopes, state, lastUsedAt, expiresAt }) => [
      id,
      name,
      owner,
      scopes.join(','),
      state === 'ownerInactive' ? 'owner inactive' : state,
      lastUsedAt?.slice(0, 19) ?? 'never',
      expiresAt.slice(0, 19),
    ],
    'No program has a token.',
  )
}

export async function tokensRevoke(id: string, options: CommonOptions): Promise<number> {
  const { name, owner, changed } = await withDatabase(options, ({ acts }) => acts.tokens.revoke(id, cliActing()))
  if (options.json) printJson({ revoked: id, name, owner, changed })
  else print(changed ? `Revoked ${id} (${name}) of ${owner}.` : `${id} (${name}) of ${owner} was revoked already.`)
  return EXIT.ok
}
