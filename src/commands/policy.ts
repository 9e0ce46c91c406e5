// `gatehouse policy versions|show|diff|export`: the versions of the policy; `policy check|preview`: a policy alone;
// `policy deploy|rollback`: what is in force on all replicas, where the policy is in the database.
import type { Deployed, PolicyDeploysAdmin } from '../admin/policy-deploys.js'
import { createPolicyVersionsAdmin, type PolicyVersionsAdmin } from '../admin/policy-versions.js'
import { formatProblem } from '../config/load.js'
import { loadPolicy, type LoadedPolicy } from '../config/policy-document.js'
import { allPages } from '../core/page.js'
import { versionName, type VersionSummary } from '../core/policy-version.js'
import { commandProcess } from './command-process.js'
import {
  cliActing,
  EXIT,
  print,
  printJson,
  printNote,
  printTable,
  readConfig,
  withDatabase,
  type CommonOptions,
} from './context.js'
import { readTextFile } from './text-file.js'

export async function policyVersions(options: CommonOptions): Promise<number> {
  const versions = await withVersions(options, async (admin) => {
    const all: VersionSummary[] = []
    for await (const rows of allPages<VersionSummary, number>((after) => admin.list({ after }))) all.push(...rows)
    return all
  })
  if (options.json) printJson(versions)
  else {
    printTable(
      ['VERSION', 'ADDED', 'BY', 'GAIN', 'LOSE', 'MESSAGE', 'RUN BY'],
      versions.map(({ number, at, author, gains, losses, message, replicas }) => [
        String(number),
        new Date(at).toISOString().slice(0, 19),
        author,
        String(gains ?? '-'),
        String(losses ?? '-'),
        message,
        replicas.join(', '),
      ]),
      'There are no versions yet: a running gateway adds the policy that it has loaded.',
    )
  }
  return EXIT.ok
}

/** @param number undefined: the newest */
export async function policyShow(number: number | undefined, options: CommonOptions): Promise<number> {
  const version = await withVersions(options, (admin) => admin.get(number))
  if (options.json) {
    printJson(version)
    return EXIT.ok
  }
  const { at, author, message, hash, release, gains, losses, replicas, findings, text } = version
  print(`version  ${version.number}`)
  print(`added    ${new Date(at).toISOString()} by ${author}, Gatehouse ${release}`)
  if (message !== '') print(`message  ${message}`)
  print(`hash     ${hash}`)
  if (gains !== null && losses !== null) print(`users    ${gains} gain rights, ${losses} lose some`)
  print(`run by   ${replicas.length === 0 ? 'no replica' : replicas.join(', ')}`)
  for (const { path, code, message: finding } of findings) print(`finding  ${path}: ${finding ?? code}`)
  print(`\n${text.trimEnd()}`)
  return EXIT.ok
}

export async function policyDiff(from: number, to: number | undefined, options: CommonOptions): Promise<number> {
  const diff = await withVersions(options, (admin) => admin.diff(from, to))
  if (options.json) printJson({ ...diff, patch: diff.patch ?? null })
  else if (diff.changes.length === 0) print('Both versions have the same meaning.')
  else if (diff.patch === undefined) {
    printNote('gatehouse: note: the texts have too little in common; only what differs in meaning is shown.')
    for (const { path, before, after } of diff.changes) print(`${path}: ${before ?? 'none'} -> ${after ?? 'none'}`)
  } else print(diff.patch.trimEnd())
  return EXIT.ok
}

/** The text alone, as it was written: for version control and for backups. */
export async function policyExport(number: number | undefined, options: CommonOptions): Promise<number> {
  const { text, ...version } = await withVersions(options, (admin) => admin.get(number))
  if (options.json) printJson({ ...version, text })
  else commandProcess().stdout.write(text)
  return EXIT.ok
}

async function withVersions<T>(options: CommonOptions, work: (admin: PolicyVersionsAdmin) => Promise<T>): Promise<T> {
  const { createPolicyVersionStore } = await import('../store/policy-versions.js')
  return await withDatabase(
    options,
    ({ database }) => work(createPolicyVersionsAdmin(createPolicyVersionStore(database))),
    { needs: 'file' },
  )
}

/** A policy alone is checked as if it stood in the configuration. */
export async function policyCheck(file: string, options: CommonOptions): Promise<number> {
  const { warnings, config: { policyText: { hash } } } = readPolicy(file, options)
  if (options.json) printJson({ file, usable: true, hash, problems: [], warnings })
  else {
    for (const warning of warnings) print(`warning: ${formatProblem(warning)}`)
    const count = `${warnings.length} ${warnings.length === 1 ? 'warning' : 'warnings'}`
    print(`${file} is a usable policy${warnings.length > 0 ? `, with ${count}` : ''}.`)
  }
  return EXIT.ok
}

/** Who would gain and lose what: explain --with, for a policy alone, and which requests would be decided otherwise. */
export async function policyPreview(
  file: string,
  options: CommonOptions & { readonly live?: boolean },
): Promise<number> {
  const { config } = readPolicy(file, options)
  const [{ explainWith }, { localGroups }] = await Promise.all([import('./explain-with.js'), import('./explain.js')])
  const { requestsOtherwise } = await import('./sampled-requests.js')
  const requests = () => requestsOtherwise(config, options)
  return await explainWith(config, await localGroups(options), options, requests)
}

export interface DeployCommandOptions extends CommonOptions {
  readonly message: string
  readonly onto?: number
  readonly preview?: string
  readonly without?: readonly string[]
  readonly confirm?: string
  readonly apply?: 'now' | 'sign-in'
}

export async function policyDeploy(file: string, options: DeployCommandOptions): Promise<number> {
  const text = readTextFile(file)
  return await deployed(file, options, (deploys) => deploys.deploy(text, options, cliActing()))
}

export async function policyRollback(number: number, options: DeployCommandOptions): Promise<number> {
  return await deployed(
    versionName(number),
    options,
    (deploys) => deploys.rollback(number, options, cliActing()),
  )
}

/** @param name of the text, for its problems */
async function deployed(
  name: string,
  options: DeployCommandOptions,
  work: (deploys: PolicyDeploysAdmin) => Promise<Deployed>,
): Promise<number> {
  const [{ createPolicyDeploys }, apply] = await Promise.all([
    import('../policy-deploys.js'),
    import('./policy-apply.js'),
  ])
  return await withDatabase(options, async (context) => {
    const { database, file } = context
    const done = await work(createPolicyDeploys(database, file, name))
    if (options.apply !== 'now') {
      if (options.json) printJson(done)
      else printDeployed(done)
      return EXIT.ok
    }
    if (!options.json) printDeployed(done) // before it is applied, which may take minutes
    const finished = await apply.finished(await apply.policyApplyAdmin(context), done.number)
    if (!options.json) return apply.applicationShown(finished, options)
    printJson({ ...done, application: finished.application ?? null })
    return apply.applicationExit(finished, true)
  }, { needs: 'file', ...options.apply === 'now' ? { poolSize: apply.APPLY_POOL_SIZE } : {} })
}

function printDeployed({ number, replaced, replicas }: Deployed): void {
  const on = replicas.length === 0
    ? 'No replica runs: it is in force when one starts.'
    : `It is in force on ${replicas.join(', ')}.`
  print(`Version ${number} ${replaced === null ? 'is the first one' : `replaces version ${replaced}`}. ${on}`)
}

/** @throws ConfigError, GatehouseError `file_unreadable` */
function readPolicy(file: string, options: CommonOptions): LoadedPolicy {
  const { config } = readConfig(options)
  return loadPolicy(readTextFile(file), config, { name: file, env: commandProcess().env })
}
