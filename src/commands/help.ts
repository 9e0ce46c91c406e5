// What `--help` prints besides the line of each command: its arguments, examples that can be typed in, exit codes.
import type { Command } from 'commander'
import { commandProcess } from './command-process.js'
import { styled, terminalOf } from './terminal.js'

const USER = 'a username, the UPN as Entra ID last sent it, an e-mail address that one person has, or an id'
const GROUP = 'name of a local group'
const PERMISSION = 'words joined by dots: netbox.view'

/** By the command and the argument. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  'import-netbox file': 'a NetBox configuration (Python), or the mapping table of NetBox Cloud (Markdown or CSV)',
  'explain user': `${USER}; Graph is asked about them`,
  'groups add name': GROUP,
  'groups apply file': 'YAML with groups and permissions, as "gatehouse groups export" prints it',
  'groups rename name': GROUP,
  'groups rename new': 'its new name',
  'groups remove name': GROUP,
  'groups grant name': GROUP,
  'groups grant permission': PERMISSION,
  'groups revoke name': GROUP,
  'groups revoke permission': PERMISSION,
  'users show user': USER,
  'users add username': 'letters, digits and @ . + - _',
  'users rename user': USER,
  'users rename name': 'their new username',
  'users release name': 'the username of a user who was removed or renamed',
  'users activate user': USER,
  'users deactivate user': USER,
  'users remove user': USER,
  'sessions revoke id': 'of "gatehouse sessions list": ses_...',
  'tokens add name': 'what it is for',
  'tokens revoke id': 'of "gatehouse tokens list": tok_...',
  'access test url': 'the whole address of a page: https://netbox.example.com/dcim/',
  'policy show version': 'its number; the newest without it',
  'policy check file': 'YAML: groupMapping, access and so on, as "gatehouse policy export" prints them',
  'policy preview file': 'YAML: groupMapping, access and so on, as "gatehouse policy export" prints them',
  'policy deploy file': 'YAML: groupMapping, access and so on, as "gatehouse policy export" prints them',
  'policy rollback version': 'the number of the version whose text is deployed again',
  'policy diff from': 'the number of a version',
  'policy diff to': 'the number of another one; the newest without it',
  'policy add-image file': 'PNG, JPEG or WebP of at most 256 kB',
  'policy export-image name': 'the name of an uploaded image',
  'policy export-image file': 'where the image is written',
  'policy export version': 'its number; the newest without it',
  'access check file': 'YAML: a list of { user | groups | nobody, method, url, expect: allow | deny | sign-in, rule }',
  'completion shell': 'the shell that asks',
}

const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  'serve': ['gatehouse serve', 'gatehouse serve --no-migrate --config /etc/gatehouse/gatehouse.yaml'],
  'demo': ['gatehouse demo', 'gatehouse demo --port 8080'],
  'init': [
    'gatehouse init',
    'gatehouse init --dir config --tenant 5d1e7a60-3c3f-4b0e-9a55-0c7d8f2b1e44 \\\n' +
    '    --public-url https://auth.example.com --application wiki.example.com=127.0.0.1:8080',
  ],
  'migrate': ['gatehouse migrate'],
  'check': ['gatehouse check', 'gatehouse check --offline --config new.yaml'],
  'doctor': ['gatehouse doctor', 'gatehouse doctor --json'],
  'import-netbox': ['gatehouse import-netbox configuration.py > config/gatehouse.yaml'],
  'explain': [
    'gatehouse explain sam.staff@contoso.example',
    'gatehouse explain --entra-groups 1a36bed9-3bdc-4970-ab66-faf9704e0af4',
    'gatehouse explain --with new.yaml --live',
  ],
  'groups list': ['gatehouse groups list'],
  'groups add': ['gatehouse groups add "Network Engineers" --description "May change NetBox"'],
  'groups apply': ['gatehouse groups apply groups.yaml --dry-run'],
  'groups export': ['gatehouse groups export > groups.yaml'],
  'groups rename': ['gatehouse groups rename "Network Engineers" Engineers'],
  'groups remove': ['gatehouse groups remove Engineers'],
  'groups grant': ['gatehouse groups grant "Network Engineers" netbox.view'],
  'groups revoke': ['gatehouse groups revoke "Network Engineers" netbox.view'],
  'users list': ['gatehouse users list --staff --why', 'gatehouse users list --search sam'],
  'users show': ['gatehouse users show sam.staff@contoso.example'],
  'users add': ['gatehouse users add emergency --break-glass'],
  'users rename': ['gatehouse users rename sam.staff@contoso.example sam'],
  'users release': ['gatehouse users release sam.staff@contoso.example --yes'],
  'users activate': ['gatehouse users activate sam.staff@contoso.example'],
  'users deactivate': ['gatehouse users deactivate sam.staff@contoso.example'],
  'users remove': ['gatehouse users remove sam.staff@contoso.example'],
  'sessions list': ['gatehouse sessions list --user sam.staff@contoso.example'],
  'sessions revoke': ['gatehouse sessions revoke --user sam.staff@contoso.example', 'gatehouse sessions revoke --all'],
  'tokens add': [
    'gatehouse tokens add "Nightly report" --admin --owner sam.staff@contoso.example \\\n' +
    '    --scope gatehouse.read --expires 90d',
  ],
  'tokens list': ['gatehouse tokens list'],
  'tokens revoke': ['gatehouse tokens revoke tok_3vXq0b9Zk1Tt'],
  'access test': [
    'gatehouse access test https://netbox.example.com/dcim/ --method GET --user sam.staff@contoso.example',
  ],
  'policy versions': ['gatehouse policy versions'],
  'policy show': ['gatehouse policy show', 'gatehouse policy show 17'],
  'policy diff': ['gatehouse policy diff 17', 'gatehouse policy diff 16 17'],
  'policy check': ['gatehouse policy check policy.yaml'],
  'policy preview': ['gatehouse policy preview policy.yaml', 'gatehouse policy preview policy.yaml --live'],
  'policy deploy': [
    'gatehouse policy deploy policy.yaml --message "Circuits for the new team"',
    'gatehouse policy deploy policy.yaml --message "A replica is gone" --onto 17 --without gatehouse-2:4180',
    'gatehouse policy deploy policy.yaml --message "The contractors have left" --apply now',
  ],
  'policy rollback': ['gatehouse policy rollback 17 --message "Back to the version of Monday" --apply now'],
  'policy apply': ['gatehouse policy apply'],
  'policy images': ['gatehouse policy images'],
  'policy add-image': [
    'gatehouse policy add-image contoso.png',
    'gatehouse policy add-image logo-2027.png --name contoso-2027.png',
  ],
  'policy export-image': ['gatehouse policy export-image contoso.png contoso.png'],
  'policy export': ['gatehouse policy export > policy.yaml'],
  'access check': [
    'gatehouse access check expectations.yaml',
    'gatehouse access check expectations.yaml --with new.yaml',
  ],
  'keys list': ['gatehouse keys list'],
  'keys rotate': ['gatehouse keys rotate'],
  'audit list': [
    'gatehouse audit list --since 2h --action login',
    'gatehouse audit list --since 2026-11-22T10:00:00Z --until 2026-11-22T12:00:00Z',
  ],
  'audit export': ['gatehouse audit export > audit.ndjson'],
  'audit verify': ['gatehouse audit verify', 'gatehouse audit verify --json'],
  'completion': [
    'gatehouse completion bash > ~/.local/share/bash-completion/completions/gatehouse',
    'gatehouse completion zsh > ~/.zfunc/_gatehouse',
    'gatehouse completion fish > ~/.config/fish/completions/gatehouse.fish',
  ],
}

const EXIT_CODES = 'Exit codes: 0 ok, 1 failed, 2 wrong usage, 78 configuration unusable.'

/** Adds it to the whole tree of commands, once that is complete. */
export function describeCommands(program: Command): void {
  const style = (text: string): string => terminalOf(commandProcess().stdout).colour ? styled(text, 'bold') : text
  for (const [path, command] of commandsOf(program)) {
    command.configureHelp({ ...program.configureHelp(), styleTitle: style })
    for (const argument of command.registeredArguments) {
      argument.description = ARGUMENTS[`${path} ${argument.name()}`] ?? ''
    }
    const examples = EXAMPLES[path] ?? []
    const lines = examples.map((each) => `  ${each}\n`)
    const shown = lines.length === 0 ? '' : `\n${style('Examples:')}\n${lines.join('')}`
    command.addHelpText('after', `${shown}\n${EXIT_CODES}`)
  }
}

/** Every command by its path (`groups add`), the program itself by the empty one. */
export function commandsOf(command: Command, path = ''): [string, Command][] {
  const below = visible(command).flatMap((each) => commandsOf(each, `${path} ${each.name()}`.trim()))
  return [[path, command], ...below]
}

/** The commands below this one, without those that are hidden and without `help`. */
export function visible(command: Command): Command[] {
  return command.createHelp().visibleCommands(command).filter((each) => each.name() !== 'help')
}
