// `gatehouse completion bash|zsh|fish`: a script for the shell, made of the table of commands in program.ts. It asks
// neither the configuration nor the database, so that the Tab key is quick.
import type { Command } from 'commander'
import { commandProcess } from './command-process.js'
import { EXIT } from './exit.js'
import { commandsOf, visible } from './help.js'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = typeof SHELLS[number]

interface Entry {
  /** `groups add`; of the program itself the empty one. */
  readonly path: string
  readonly words: readonly Word[]
  /** The argument, or the option before it, is a file. */
  readonly file: boolean
}
interface Word {
  readonly word: string
  readonly description: string
}

export async function completion(shell: Shell, program: Command): Promise<number> {
  const entries = commandsOf(program).map(([path, command]) => entryOf(path, command))
  commandProcess().stdout.write({ bash, zsh, fish }[shell](entries))
  return EXIT.ok
}

function entryOf(path: string, command: Command): Entry {
  const shells = path === 'completion' ? SHELLS.map((word) => ({ word, description: `for ${word}` })) : []
  const below = visible(command).map((each) => ({ word: each.name(), description: each.description() }))
  const options = command.createHelp().visibleOptions(command)
    .flatMap(({ long, description }) => typeof long === 'string' ? [{ word: long, description }] : [])
  const file = command.registeredArguments.some((argument) => argument.name() === 'file')
  return { path, words: [...shells, ...below, ...options], file }
}

/** Options whose value is a file or a folder, in every command. */
const FILE_OPTIONS = ['--config', '--with', '--dir', '--certificate', '--certificate-key']

/** Patterns of a `case`: every path but that of the program. */
function anyPath(entries: readonly Entry[]): string {
  return entries.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`).join('|')
}

function bash(entries: readonly Entry[]): string {
  const cases = entries.map(({ path, words, file }) =>
    `    '${path}') words='${words.map(({ word }) => word).join(' ')}'${file ? ' files=1' : ''} ;;`
  )
  return `# Completion of gatehouse for bash: source it, or keep it as gatehouse in
# ~/.local/share/bash-completion/completions.
_gatehouse() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}"
  local path= words= files= word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in
      -*) ;;
      *) case "\${path:+$path }$word" in
        ${anyPath(entries)}) path="\${path:+$path }$word" ;;
      esac ;;
    esac
  done
  case "$previous" in
    ${FILE_OPTIONS.join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [ -n "$files" ]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _gatehouse gatehouse
`
}

function zsh(entries: readonly Entry[]): string {
  const cases = entries.map(({ path, words, file }) => {
    const listed = words.map(({ word, description }) =>
      `'${word}:${description.replaceAll("'", "'\\''").replaceAll(':', '\\:')}'`
    )
    return `    '${path}') listed=(${listed.join(' ')})${file ? ' files=1' : ''} ;;`
  })
  return `#compdef gatehouse
# Completion of gatehouse for zsh: keep it as _gatehouse in a folder of fpath.
_gatehouse() {
  local joined='' files='' each
  local -a listed
  for each in "\${(@)words[2,CURRENT-1]}"; do
    case "\${joined:+$joined }$each" in
      ${anyPath(entries)}) joined="\${joined:+$joined }$each" ;;
    esac
  done
  case "\${words[CURRENT-1]}" in
    ${FILE_OPTIONS.join('|')}) _files; return ;;
  esac
  case "$joined" in
${cases.join('\n')}
  esac
  _describe 'gatehouse' listed
  if [[ -n "$files" ]]; then _files; fi
}
if [[ "$funcstack[1]" = _gatehouse ]]; then _gatehouse "$@"; else compdef _gatehouse gatehouse; fi
`
}

function fish(entries: readonly Entry[]): string {
  const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const lines = entries.flatMap(({ path, words, file }) =>
    words.map(({ word, description }) => {
      const value = FILE_OPTIONS.includes(word) ? ' -r -F' : ''
      const is = word.startsWith('--') ? `-l ${word.slice(2)}${value}` : `-a ${word}`
      const files = file || word.startsWith('--') ? '' : ' -f'
      const at = quoted(`__gatehouse_at ${quoted(path)}`)
      return `complete -c gatehouse -n ${at} ${is}${files} -d ${quoted(description)}`
    })
  )
  const paths = entries.filter(({ path }) => path !== '').map(({ path }) => quoted(path)).join(' ')
  return `# Completion of gatehouse for fish: keep it in ~/.config/fish/completions/gatehouse.fish
function __gatehouse_at
  set -l joined ''
  for word in (commandline -opc)[2..-1]
    set -l next (string trim -- "$joined $word")
    if contains -- $next ${paths}
      set joined $next
    end
  end
  test "$joined" = "$argv[1]"
end
complete -c gatehouse -n ${quoted("not __gatehouse_at 'import-netbox'; and not __gatehouse_at 'groups apply'")} -f
${lines.join('\n')}
`
}
