// The commands of `gatehouse`: one line for each, loaded when it runs. What `--help` prints of arguments
// and examples is in help.ts. Exit codes: 0 ok, 1 failed, 2 wrong usage, 78 configuration unusable.
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { VERSION } from '../version.js'
import { commandProcess, withCommandProcess, type CommandProcess } from './command-process.js'
import { SHELLS, type Shell } from './completion.js'
import type { CommonOptions } from './context.js'
import { EXIT } from './exit.js'
import { describeCommands } from './help.js'
import { terminalOf, USUAL_WIDTH } from './terminal.js'
import { parseInstant } from './time.js'

function port(text: string): number {
  const number = Number(text)
  if (!/^\d+$/.test(text) || number > 65_535) throw new InvalidArgumentError('A port is a number from 0 to 65535.')
  return number
}

function instant(text: string): Date {
  const time = parseInstant(text, Date.now())
  if (time === undefined) {
    throw new InvalidArgumentError('Write ISO 8601 (2026-11-22T10:00:00Z), or how long ago: 30m, 2h, 7d.')
  }
  return time
}

function versionNumber(text: string): number {
  const number = Number(text)
  if (/^[1-9]\d{0,8}$/.test(text)) return number
  throw new InvalidArgumentError('Write the number of a version: gatehouse policy versions lists them.')
}

function several(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

type Run = (...args: never[]) => Promise<number>

/** They accept --config like every command, and have no use for it. */
const WITHOUT_CONFIGURATION: ReadonlySet<string> = new Set(['demo', 'import-netbox', 'completion', 'init'])
const hasNoConfiguration = (usage: string): boolean => WITHOUT_CONFIGURATION.has(usage.split(' ')[0] ?? '')
const CONFIG_HELP = 'the configuration (default: GATEHOUSE_CONFIG, else config/gatehouse.yaml)'

/**
 * Runs one command.
 * @param args what follows `gatehouse` on the command line
 * @param io where it writes and which variables it reads: those of the process, or others for a caller within it
 * @returns the exit code
 */
export async function runCommand(args: readonly string[], io: CommandProcess = process): Promise<number> {
  return await withCommandProcess(io, async () => {
    const status = { code: EXIT.ok as number }
    try {
      await createProgram((code) => {
        status.code = code
      }).parseAsync(args, { from: 'user' })
      return status.code
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error
      return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    }
  })
}

/** @param ended receives the exit code of the command that ran */
export function createProgram(ended: (code: number) => void = () => {}): Command {
  const { stdout, stderr } = commandProcess()
  const program = new Command('gatehouse')
    .version(VERSION, '-v, --version', 'print the version')
    .description('Login gateway for Microsoft Entra ID')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      getOutHelpWidth: () => terminalOf(stdout).width ?? USUAL_WIDTH,
      getErrHelpWidth: () => terminalOf(stderr).width ?? USUAL_WIDTH,
      getOutHasColors: () => terminalOf(stdout).colour, // one rule; Commander's also looks at variables like CI
      getErrHasColors: () => terminalOf(stderr).colour,
    })
  const define = definer(ended)
  for (const add of COMMANDS) add(program, define)
  program.command('version', { hidden: true }).action(() => {
    stdout.write(`${VERSION}\n`)
  })
  describeCommands(program)
  return program
}

type Define = (parent: Command, usage: string, description: string, load: () => Promise<Run>) => Command

/** @param ended receives the exit code of the command that ran */
function definer(ended: (code: number) => void): Define {
  return (parent, usage, description, load) => {
    const made: Command = parent.command(usage).description(description)
      .addOption(new Option('--config <file>', CONFIG_HELP).hideHelp(hasNoConfiguration(usage)))
      .option('--json', 'print JSON')
      .action(async (...args: unknown[]) => {
        const given = args.slice(0, -1) as never[] // the last argument is the command itself
        ended(
          await load().then((run) => run(...given)).catch(async (error: unknown) => {
            const { explainFailure } = await import('./context.js')
            return explainFailure(error, made.opts<CommonOptions>().json)
          }),
        )
      })
    return made
  }
}

function addGatewayCommands(program: Command, define: Define): void {
  define(program, 'serve', 'run the gateway', async () => (await import('./serve.js')).serve)
    .option('--no-migrate', 'do not apply migrations at start')
  define(
    program,
    'demo',
    'everything on this machine, with a simulated Entra ID and six people',
    async () => (await import('./demo.js')).demo,
  )
    .option('--port <port>', 'port of the application to open', port)
  define(
    program,
    'init',
    "write a configuration with its secrets, the proxy's files and the registration to make",
    async () => (await import('./init.js')).init,
  )
    .option('--dir <folder>', 'where to write (default: config)')
    .option('--tenant <id>', 'Directory (tenant) ID')
    .option('--client <id>', 'Application (client) ID, where the application is registered already')
    .option('--public-url <url>', "where browsers reach Gatehouse's own pages: https://auth.example.com")
    .option(
      '--application <host>',
      'host of an application, also HOST=ADDRESS:PORT where it listens; repeatable',
      several,
    )
    .option('--database <url>', "postgres://..., or embedded (the default): a PostgreSQL of Gatehouse's own")
    .option('--proxy <name>', 'nginx (the default), caddy, haproxy, traefik, envoy or none')
    .option('--certificate <file>', "the proxy's certificate, where it is not in the usual place")
    .option('--certificate-key <file>', 'its key')
    .option('--force', 'replace files that are there, except secrets')
}

function addOperationCommands(program: Command, define: Define): void {
  define(program, 'migrate', 'bring the database to this version', async () => (await import('./migrate.js')).migrate)
  define(
    program,
    'check',
    'validate the configuration and print every problem',
    async () => (await import('./check.js')).check,
  )
    .option('--offline', 'look at the file and what lies beside it alone: no database, no Entra ID')
  define(
    program,
    'doctor',
    'ask Entra ID, Graph and the database everything that a login will need',
    async () => (await import('./doctor.js')).doctor,
  )
  define(
    program,
    'import-netbox <file>',
    'print the equivalent of a NetBox configuration',
    async () => (await import('./import-netbox.js')).importNetbox,
  )
  define(
    program,
    'explain [user]',
    'dry run of the mapping: for a person, for Entra groups, or under another configuration',
    async () => (await import('./explain.js')).explain,
  )
    .option('--entra-groups <ids>', 'object IDs, separated by commas')
    .option('--with <file>', 'what everybody would gain or lose under this configuration')
    .option('--live', 'with --with: read Graph now instead of using the last readings')
}

function addGroupCommands(program: Command, define: Define): void {
  const groups = program.command('groups').description('local groups and their permissions')
  define(groups, 'list', 'list groups', async () => (await import('./groups.js')).groupsList)
  define(groups, 'add <name>', 'add a group', async () => (await import('./groups.js')).groupsAdd)
    .option('--description <text>', 'what it is for')
  define(
    groups,
    'apply <file>',
    'make groups and permissions as a file describes them',
    async () => (await import('./groups.js')).groupsApply,
  )
    .option('--dry-run', 'only print what would change')
  define(groups, 'export', 'print all groups as such a file', async () => (await import('./groups.js')).groupsExport)
  define(groups, 'rename <name> <new>', 'rename a group', async () => (await import('./groups-admin.js')).groupsRename)
  define(
    groups,
    'remove <name>',
    'remove a group that neither the mapping nor an access rule names',
    async () => (await import('./groups-admin.js')).groupsRemove,
  )
    .option('--force', 'even if one of them names it')
  define(
    groups,
    'grant <name> <permission>',
    'give a group a permission',
    async () => (await import('./groups-admin.js')).groupsGrant,
  )
  define(
    groups,
    'revoke <name> <permission>',
    'take a permission from a group',
    async () => (await import('./groups-admin.js')).groupsRevoke,
  )
}

function addUserCommands(program: Command, define: Define): void {
  const users = program.command('users').description('people and their rights')
  define(users, 'list', 'list people', async () => (await import('./users.js')).usersList)
    .option('--staff', 'staff alone')
    .option('--superuser', 'superusers alone')
    .option('--search <text>', 'whose username, UPN, e-mail address, name or family name contains it')
    .option('--why', 'what grants each right')
  define(users, 'show <user>', 'one person, with reasons', async () => (await import('./users.js')).usersShow)
  define(
    users,
    'add <username>',
    'add a user without an Entra identity',
    async () => (await import('./users-admin.js')).usersAdd,
  )
    .option('--email <email>', 'their e-mail address')
    .option('--break-glass', 'never linked to an Entra identity')
  define(
    users,
    'rename <user> <name>',
    'give a user another username',
    async () => (await import('./users-names.js')).usersRename,
  )
  define(
    users,
    'release <name>',
    'let others have the name of a removed or renamed user, after 180 days',
    async () => (await import('./users-names.js')).usersRelease,
  )
    .option('--yes', 'to applications that know people by name the new holder is the old one: this is meant')
    .option('--now', 'without waiting 180 days')
  define(
    users,
    'activate <user>',
    'let a deactivated user in again',
    async () => (await import('./users-admin.js')).usersActivate,
  )
  define(
    users,
    'deactivate <user>',
    'refuse a user and end their sessions',
    async () => (await import('./users-admin.js')).usersDeactivate,
  )
  define(
    users,
    'remove <user>',
    'erase a user; the username stays reserved',
    async () => (await import('./users-admin.js')).usersRemove,
  )
}

function addSessionCommands(program: Command, define: Define): void {
  const sessions = program.command('sessions').description('active sessions')
  define(sessions, 'list', 'list active sessions', async () => (await import('./sessions.js')).sessionsList)
    .option('--user <user>', 'of one person: username, UPN, e-mail address or id')
  define(
    sessions,
    'revoke [id]',
    'end a session, all of a person, or all',
    async () => (await import('./sessions.js')).sessionsRevoke,
  )
    .option('--user <user>', 'all of one person: username, UPN, e-mail address or id')
    .option('--all', "everybody's")
}

function addPolicyCommands(program: Command, define: Define): void {
  const policy = program.command('policy').description(
    'versions of the policy: mapping, access rules, pipeline, headers',
  )
  define(
    policy,
    'versions',
    'list the versions, newest first, and which replica runs which',
    async () => (await import('./policy.js')).policyVersions,
  )
  const numbered = [
    define(policy, 'show [version]', 'show a version', async () => (await import('./policy.js')).policyShow),
    define(
      policy,
      'diff <from> [to]',
      'what differs between two versions',
      async () => (await import('./policy.js')).policyDiff,
    ),
    define(
      policy,
      'export [version]',
      'print the text of a version as it was written',
      async () => (await import('./policy.js')).policyExport,
    ),
  ]
  for (const { registeredArguments } of numbered) {
    for (const argument of registeredArguments) argument.argParser(versionNumber)
  }
  define(
    policy,
    'check <file>',
    'check a file that holds a policy alone, as if it stood in the configuration',
    async () => (await import('./policy.js')).policyCheck,
  )
  define(
    policy,
    'preview <file>',
    'what everybody would gain or lose under such a policy, and which requests it would decide otherwise',
    async () => (await import('./policy.js')).policyPreview,
  ).option('--live', 'read Graph now instead of using the last readings')
  addDeployCommands(policy, define)
  addImageCommands(policy, define)
}

function addImageCommands(policy: Command, define: Define): void {
  define(
    policy,
    'images',
    'list the images that were uploaded for policies in the database',
    async () => (await import('./policy-images.js')).policyImages,
  )
  define(
    policy,
    'add-image <file>',
    'upload an image; it never changes',
    async () => (await import('./policy-images.js')).policyAddImage,
  ).option('--name <name>', 'as the policy names it; without it, the name of the file')
  define(
    policy,
    'export-image <name> <file>',
    'write an uploaded image into a file',
    async () => (await import('./policy-images.js')).policyExportImage,
  )
}

function addDeployCommands(policy: Command, define: Define): void {
  const deploy = define(
    policy,
    'deploy <file>',
    'bring a policy into force on all replicas (policy.source: database)',
    async () => (await import('./policy.js')).policyDeploy,
  ).option('--onto <version>', 'the version that it replaces; another one in force ends the deploy', versionNumber)
  const rollback = define(
    policy,
    'rollback <version>',
    'deploy an earlier version again, as a new one',
    async () => (await import('./policy.js')).policyRollback,
  )
  for (const argument of rollback.registeredArguments) argument.argParser(versionNumber)
  for (const each of [deploy, rollback]) {
    each.requiredOption('--message <text>', 'why, for the history of versions')
      .option('--preview <hash>', 'the preview that was looked at, for the audit record')
      .option('--without <replica>', 'leave out a replica that does not answer; repeatable', several)
      .option('--confirm <text>', "'no superuser': it is meant that none is left, or not you")
      .addOption(
        new Option('--apply <when>', 'rights of people with a session: now, from the last snapshots, or at sign-in')
          .choices(['now', 'sign-in']),
      )
  }
  define(
    policy,
    'apply',
    'give everybody with a session the rights of the version in force, from the last snapshots',
    async () => (await import('./policy-apply.js')).policyApply,
  )
}

function addTokenCommands(program: Command, define: Define): void {
  const tokens = program.command('tokens').description('API tokens of programs')
  define(
    tokens,
    'add <name>',
    'make a token; it is printed once',
    async () => (await import('./tokens.js')).tokensAdd,
  )
    .option('--admin', 'of the admin API (gha_...)')
    .requiredOption('--owner <user>', 'whose rights bound it: username, UPN, e-mail address or id')
    .option('--scope <permission>', 'of the admin API: gatehouse.read, ...; repeatable', several)
    .option('--expires <time>', 'how long it lasts, at most 365d', '90d')
  define(tokens, 'list', 'list tokens, newest first', async () => (await import('./tokens.js')).tokensList)
  define(
    tokens,
    'revoke <id>',
    'refuse a token from now on',
    async () => (await import('./tokens.js')).tokensRevoke,
  )
}

function addAccessCommands(program: Command, define: Define): void {
  const access = program.command('access').description('who may see what')
  define(
    access,
    'test <url>',
    'which access rule decides, and why',
    async () => (await import('./access.js')).accessTest,
  )
    .requiredOption('--method <method>', 'the HTTP method')
    .option('--user <user>', 'whose request it is (username, UPN, e-mail address or id); without it: anonymous')
    .option('--from <address>', 'the address they ask from')
  define(
    access,
    'check <file>',
    'compare the access rules with a file of expectations',
    async () => (await import('./access-check.js')).accessCheck,
  )
    .option('--with <file>', 'the rules of this configuration in place of those in force')
}

function addRecordCommands(program: Command, define: Define): void {
  const keys = program.command('keys').description('the keys that sign assertions')
  define(keys, 'list', 'list the keys', async () => (await import('./keys.js')).keysList)
  define(keys, 'rotate', 'make the next key', async () => (await import('./keys.js')).keysRotate)
    .option('--now', 'it signs immediately and all others are withdrawn: for a key that leaked or cannot be opened')

  const audit = program.command('audit').description('the record of logins and changes')
  for (
    const command of [
      define(audit, 'list', 'list the record, newest first', async () => (await import('./audit.js')).auditList),
      define(
        audit,
        'export',
        'print the whole record as NDJSON, newest first',
        async () => (await import('./audit.js')).auditExport,
      ),
    ]
  ) {
    command
      .option('--user <user>', 'about one person: username, UPN, e-mail address or id')
      .option('--since <time>', 'not before: ISO 8601, or how long ago: 2h', instant)
      .option('--until <time>', 'before: ISO 8601, or how long ago: 2h', instant)
      .option('--action <action>', 'login, group, user.deactivate, ...')
      .option('--actor <actor>', 'by whom: login, sync, cli:NAME, ...')
      .option('--correlation-id <id>', 'of one request or sign-in, as in the log and on the error page')
  }
  define(
    audit,
    'verify',
    'compare the rows with their seals; exit 1 if one was changed, deleted or inserted',
    async () => (await import('./audit-verify.js')).auditVerify,
  )
    .option('--seal <hash>', 'the hash of a seal that was noted elsewhere: it must be among the seals')
}

function addShellCommands(program: Command, define: Define): void {
  define(program, 'completion', 'print the completion of commands and options for a shell', async () => {
    const { completion } = await import('./completion.js')
    return (shell: Shell) => completion(shell, program)
  })
    .addArgument(new Argument('<shell>').choices(SHELLS))
}

/** In the order of `--help`. */
const COMMANDS = [
  addGatewayCommands,
  addOperationCommands,
  addGroupCommands,
  addUserCommands,
  addSessionCommands,
  addPolicyCommands,
  addTokenCommands,
  addAccessCommands,
  addRecordCommands,
  addShellCommands,
]
