// `gatehouse init`: a configuration with its secrets, the proxy's files and the registration to make, and what to do
// next. Everything is judged before a file is written.
import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import { CLAIM_NAMES, registrationAddresses } from '../core/registration.js'
import type { Answers } from '../init/answers.js'
import { configurationText, SECRET_FILES } from '../init/configuration.js'
import { nextSteps, shellWord, type Step } from '../init/next-steps.js'
import { proxyFiles } from '../init/proxy-files.js'
import {
  REGISTRATION_FILES,
  registrationManifest,
  registrationScript,
  registrationWords,
} from '../init/registration-files.js'
import { existing, writableByOthers, writeAll, type FileToWrite, type Written } from '../init/write.js'
import { EXIT, print, printJson, printNote, type CommonOptions } from './context.js'
import { askFor, missing, readFlags, withDefaults, type FlagProblem, type InitFlags } from './init-answers.js'
import { InputEnded, openQuestions } from './questions.js'

export interface InitOptions extends CommonOptions, InitFlags {
  readonly dir?: string
  readonly force?: boolean
}

export const DEFAULT_FOLDER = 'config'

export async function init(options: InitOptions): Promise<number> {
  const { given, problems } = readFlags(options)
  const asks = !options.json && process.stdin.isTTY && process.stdout.isTTY
  if (!asks) problems.push(...missing(options))
  if (problems.length > 0) return refuseFlags(problems, options)
  const folder = options.dir ?? DEFAULT_FOLDER
  const early = refuseFolder(folder, ['gatehouse.yaml'], options)
  if (early !== undefined) return early // before the questions
  let answers = withDefaults(given)
  if (asks) {
    const questions = openQuestions(process.stdin, process.stdout)
    try {
      answers = await askFor(given, options, questions, print)
    } catch (error) {
      if (!(error instanceof InputEnded)) throw error
      printNote('\ngatehouse: the questions were not answered to the end; nothing was written.')
      return EXIT.failed
    } finally {
      questions.close()
    }
  }
  return write(folder, answers, options)
}

function write(folder: string, answers: Answers, options: InitOptions): number {
  const files = filesOf(answers)
  const refused = refuseFolder(folder, files.map(({ path }) => path), options)
  if (refused !== undefined) return refused
  let written: Written
  try {
    written = writeAll(folder, files, new Date())
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error
    return fail(
      'folder_unwritable',
      `the files cannot be written: ${error.message}`,
      'Choose another folder with --dir, or run this as a user who may write there. Nothing was changed.',
      options,
    )
  }
  report(folder, answers, written, options)
  return EXIT.ok
}

const generated = (): string => `${randomBytes(48).toString('base64')}\n`

/** The configuration comes last: where it is, everything that it names is there. */
function filesOf(answers: Answers): FileToWrite[] {
  const { words, manifest, script } = REGISTRATION_FILES
  return [
    { path: SECRET_FILES.session, text: generated(), secret: true },
    { path: SECRET_FILES.encryption, text: generated(), secret: true },
    { path: SECRET_FILES.client, text: '', secret: true },
    ...answers.database === undefined
      ? []
      : [{ path: SECRET_FILES.database, text: `${answers.database}\n`, secret: true }],
    ...Object.entries(proxyFiles(answers)).map(([path, text]) => ({ path, text })),
    { path: words, text: registrationWords(answers) },
    { path: manifest, text: `${JSON.stringify(registrationManifest(answers), null, 2)}\n` },
    { path: script, text: registrationScript(answers), executable: true },
    { path: 'gatehouse.yaml', text: configurationText(answers) },
  ]
}

/** @returns the exit code where nothing may be written there */
function refuseFolder(folder: string, paths: readonly string[], options: InitOptions): number | undefined {
  const open = writableByOthers(folder)
  if (open !== undefined) {
    return fail(
      'folder_open',
      `every user of this machine may change ${open}, in which secrets would stand`,
      `Take that right away (chmod o-w ${shellWord(open)}), or choose another folder with --dir.`,
      options,
    )
  }
  const there = existing(folder, paths.map((path) => ({ path, text: '' })))
  if (there.length === 0 || options.force) return undefined
  return fail(
    'files_exist',
    `there already: ${there.map((path) => join(folder, path)).join(', ')}`,
    'Choose another folder with --dir. With --force files are replaced, each kept under a name that ends in .old; ' +
      'secrets that are there stay as they are.',
    options,
  )
}

function refuseFlags(problems: readonly FlagProblem[], { json }: InitOptions): number {
  if (json) printJson({ error: 'usage', problems })
  else {
    for (const { message, remedy } of problems) printNote(`gatehouse: ${message}\n    ${remedy}`)
    printNote('\nNothing was written. On a terminal, "gatehouse init" asks for what is not given.')
  }
  return EXIT.usage
}

function fail(code: string, message: string, remedy: string, { json }: InitOptions): number {
  if (json) printJson({ error: code, message, remedy })
  else printNote(`gatehouse: ${message}\n    ${remedy}`)
  return EXIT.failed
}

function report(folder: string, answers: Answers, files: Written, { json }: InitOptions): void {
  const assumed = answers.applications.filter((application) => application.assumed)
  const next = nextSteps(folder, answers)
  const manifest = registrationManifest(answers)
  if (json) {
    return printJson({
      folder: resolve(folder),
      ...files,
      assumed: assumed.map(({ host, upstream }) => ({ host, upstream })),
      registration: { ...registrationAddresses(answers.publicUrl), manifest },
      next,
    })
  }
  const list = (title: string, paths: readonly string[]): string[] =>
    paths.length === 0 ? [] : [title, ...paths.map((path) => `  ${join(folder, path)}`), '']
  for (
    const line of [
      '',
      ...list('Written:', files.written),
      ...list('Kept as they were:', files.kept),
      ...list('Replaced, and kept under these names:', files.saved),
    ]
  ) print(line)
  for (const { host, upstream } of assumed) {
    print(
      `note: no flag or answer names the address of ${host}: ${upstream} was assumed. Change it in the proxy's file.\n`,
    )
  }
  print('The registration in Entra ID (app-registration.md; for az: app-registration.sh):\n')
  print(registrationSummary(answers).map((line) => `  ${line}`).join('\n'))
  print('\nThe same as a manifest (app-registration.json):\n')
  print(JSON.stringify(manifest, null, 2).replace(/^/gm, '  '))
  print('\nNext:\n')
  next.forEach((step, index) => print(stepText(step, index + 1)))
}

function registrationSummary(answers: Answers): string[] {
  const { redirectUris, logoutUrl } = registrationAddresses(answers.publicUrl)
  return [
    'accounts         this organizational directory only (single tenant)',
    ...redirectUris.map((uri) => `redirect URI     ${uri} (platform Web)`),
    `logout URL       ${logoutUrl} (front-channel)`,
    'API permissions  Microsoft Graph, delegated: User.Read, with admin consent',
    `optional claims  token type ID: ${CLAIM_NAMES.join(', ')}`,
    `client secret    its Value goes into ${SECRET_FILES.client}`,
  ]
}

function stepText({ what, commands }: Step, number: number): string {
  return [`${number}. ${what}`, ...commands.map((command) => `     ${command}`), ''].join('\n')
}
