#!/usr/bin/env node
// The `gatehouse` command: one line per command, each loaded when it runs. What `--help` says of arguments and examples is
// in commands/help.ts. Exit codes: 0 ok, 1 failed, 2 wrong usage, 78 configuration unusable.
import { readFileSync } from 'node:fs'
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import type { CommonOptions } from './commands/context.js'
import { SHELLS, type Shell } from './commands/completion.js'
import { EXIT } from './commands/exit.js'
import { describeCommands } from './commands/help.js'
import { terminalOf } from './commands/terminal.js'
import { parseSince } from './commands/time.js'

function port(text: string): number {
  const number = Number(text)
  if (!/^\d+$/.test(text) || number > 65_535) throw new InvalidArgumentError('A port is a number from 0 to 65535.')
  return number
}

function since(text: string): Date {
  const time = parseSince(text, Date.now())
  if (time === undefined) {
    throw new InvalidArgumentError('Write ISO 8601 (2026-11-22T10:00:00Z), or how long ago: 30m, 2h, 7d.')
  }
  return time
}

function several(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

type Run = (...args: never[]) => Promise<number>

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
const program = new Command('gatehouse')
  .version(version, '-v, --version', 'print the version')
  .description('Login gateway for Microsoft Entra ID')
  .exitOverride()
  .configureHelp({ showGlobalOptions: true })
  .configureOutput({
    getOutHasColors: () => terminalOf(process.stdout).colour, // one rule; Commander's also looks at variables like CI
    getErrHasColors: () => terminalOf(process.stderr).colour,
  })

/** They accept --config like every command, and have no use for it. */
const WITHOUT_CONFIGURATION: ReadonlySet<string> = new Set(['demo', 'import-netbox', 'completion', 'init'])

function command(parent: Command, usage: string, description: string, load: () => Promise<Run>): Command {
  const made: Command = parent.command(usage).description(description)
    .addOption(new Option('--config <file>', 'the configuration (default: GATEHOUSE_CONFIG, else config/gatehouse.yaml)')
      .hideHelp(WITHOUT_CONFIGURATION.has(usage.split(' ')[0] ?? '')))
    .option('--json', 'print JSON')
    .action(async (...args: unknown[]) => {
      const given = args.slice(0, -1) as never[] // the last argument is the command itself
      process.exitCode = await load().then((run) => run(...given)).catch(async (error: unknown) => {
        const { explainFailure } = await import('./commands/context.js')
        return explainFailure(error, made.opts<CommonOptions>().json)
      })
    })
  return made
}

command(program, 'serve', 'run the gateway', async () => (await import('./commands/serve.js')).serve)
  .option('--no-migrate', 'do not apply migrations at start')
command(program, 'demo', 'everything on this machine, with a simulated Entra ID and six people', async () => (await import('./commands/demo.js')).demo)
  .option('--port <port>', 'port of the application to open', port)
command(program, 'init', 'write a configuration with its secrets, the proxy\'s files and the registration to make',
  async () => (await import('./commands/init.js')).init)
  .option('--dir <folder>', 'where to write (default: config)')
  .option('--tenant <id>', 'Directory (tenant) ID')
  .option('--client <id>', 'Application (client) ID, where the application is registered already')
  .option('--public-url <url>', 'where browsers reach Gatehouse\'s own pages: https://auth.example.com')
  .option('--application <host>', 'host of an application, also HOST=ADDRESS:PORT where it listens; repeatable', several)
  .option('--database <url>', 'postgres://..., or embedded (the default): a PostgreSQL of Gatehouse\'s own')
  .option('--proxy <name>', 'nginx (the default), caddy, haproxy, traefik, envoy or none')
  .option('--certificate <file>', 'the proxy\'s certificate, where it is not in the usual place')
  .option('--certificate-key <file>', 'its key')
  .option('--force', 'replace files that are there, except secrets')
command(program, 'migrate', 'bring the database to this version', async () => (await import('./commands/migrate.js')).migrate)
command(program, 'check', 'validate the configuration and print every problem', async () => (await import('./commands/check.js')).check)
  .option('--offline', 'look at the file and what lies beside it alone: no database, no Entra ID')
command(program, 'doctor', 'ask Entra ID, Graph and the database everything that a login will need', async () => (await import('./commands/doctor.js')).doctor)
command(program, 'import-netbox <file>', 'print the equivalent of a NetBox configuration', async () => (await import('./commands/import-netbox.js')).importNetbox)
command(program, 'explain [user]', 'dry run of the mapping: for a person, for Entra groups, or under another configuration', async () => (await import('./commands/explain.js')).explain)
  .option('--entra-groups <ids>', 'object IDs, separated by commas')
  .option('--with <file>', 'what everybody would gain or lose under this configuration')
  .option('--live', 'with --with: read Graph now instead of using the last readings')

const groups = program.command('groups').description('local groups and their permissions')
command(groups, 'list', 'list groups', async () => (await import('./commands/groups.js')).groupsList)
command(groups, 'add <name>', 'add a group', async () => (await import('./commands/groups.js')).groupsAdd)
  .option('--description <text>', 'what it is for')
command(groups, 'apply <file>', 'make groups and permissions as a file describes them', async () => (await import('./commands/groups.js')).groupsApply)
  .option('--dry-run', 'only say what would change')
command(groups, 'export', 'print all groups as such a file', async () => (await import('./commands/groups.js')).groupsExport)
command(groups, 'rename <name> <new>', 'rename a group', async () => (await import('./commands/groups-admin.js')).groupsRename)
command(groups, 'remove <name>', 'remove a group that the mapping does not name', async () => (await import('./commands/groups-admin.js')).groupsRemove)
  .option('--force', 'even if the mapping names it')
command(groups, 'grant <name> <permission>', 'give a group a permission', async () => (await import('./commands/groups-admin.js')).groupsGrant)
command(groups, 'revoke <name> <permission>', 'take a permission from a group', async () => (await import('./commands/groups-admin.js')).groupsRevoke)

const users = program.command('users').description('people and their rights')
command(users, 'list', 'list people', async () => (await import('./commands/users.js')).usersList)
  .option('--staff', 'staff alone')
  .option('--superuser', 'superusers alone')
  .option('--why', 'what grants each right')
command(users, 'show <user>', 'one person, with reasons', async () => (await import('./commands/users.js')).usersShow)
command(users, 'add <username>', 'add a user without an Entra identity', async () => (await import('./commands/users-admin.js')).usersAdd)
  .option('--email <email>', 'their e-mail address')
  .option('--break-glass', 'never linked to an Entra identity')
command(users, 'rename <user> <name>', 'give a user another username',
  async () => (await import('./commands/users-names.js')).usersRename)
command(users, 'release <name>', 'let others have the name of a removed or renamed user, after 180 days',
  async () => (await import('./commands/users-names.js')).usersRelease)
  .option('--yes', 'to applications that know people by name the new holder is the old one: this is meant')
  .option('--now', 'without waiting 180 days')
command(users, 'activate <user>', 'let a deactivated user in again', async () => (await import('./commands/users-admin.js')).usersActivate)
command(users, 'deactivate <user>', 'refuse a user and end their sessions', async () => (await import('./commands/users-admin.js')).usersDeactivate)
command(users, 'remove <user>', 'erase a user; the username stays reserved', async () => (await import('./commands/users-admin.js')).usersRemove)

const sessions = program.command('sessions').description('live sessions')
command(sessions, 'list', 'list live sessions', async () => (await import('./commands/sessions.js')).sessionsList)
  .option('--user <user>', 'of one person: username, UPN, e-mail address or id')
command(sessions, 'revoke [id]', 'end a session, all of a person, or all', async () => (await import('./commands/sessions.js')).sessionsRevoke)
  .option('--user <user>', 'all of one person: username, UPN, e-mail address or id')
  .option('--all', 'everybody\'s')

const access = program.command('access').description('who may see what')
command(access, 'test <url>', 'which access rule decides, and why', async () => (await import('./commands/access.js')).accessTest)
  .requiredOption('--method <method>', 'the HTTP method')
  .option('--user <user>', 'who asks (username, UPN, e-mail address or id); without it: nobody')
  .option('--from <address>', 'the address they ask from')

const keys = program.command('keys').description('the keys that sign assertions')
command(keys, 'list', 'list the keys', async () => (await import('./commands/keys.js')).keysList)
command(keys, 'rotate', 'make the next key', async () => (await import('./commands/keys.js')).keysRotate)
  .option('--now', 'it signs at once and all others are withdrawn: for a key that leaked or cannot be opened')

const audit = program.command('audit').description('the record of logins and changes')
command(audit, 'list', 'list the record, newest first', async () => (await import('./commands/audit.js')).auditList)
  .option('--user <user>', 'about one person: username, UPN, e-mail address or id')
  .option('--since <time>', 'ISO 8601, or how long ago: 2h', since)
  .option('--action <action>', 'login, group, user.deactivate, ...')

command(program, 'completion', 'print the completion of commands and options for a shell',
  async () => {
    const { completion } = await import('./commands/completion.js')
    return (shell: Shell) => completion(shell, program)
  })
  .addArgument(new Argument('<shell>').choices(SHELLS))
program.command('version', { hidden: true }).action(() => { process.stdout.write(`${version}\n`) })
describeCommands(program)

process.stderr.on('error', () => {}) // there is nowhere left to tell it
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (['EPIPE', 'EIO'].includes(error.code ?? '')) return // `| head` has read enough, or the terminal was closed
  process.stderr.write(`gatehouse: the output cannot be written: ${error.message}\n`)
  process.exit(EXIT.failed)
})

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage
}
