// `gatehouse policy apply`, and `--apply now` of `policy deploy` and `policy rollback`: everybody with an active
// session is mapped anew by the version in force, here or by a replica that was quicker.
import type { PolicyApplyAdmin } from '../admin/policy-apply.js'
import { GatehouseError } from '../core/errors.js'
import type { PolicyApplication } from '../core/policy-application.js'
import { versionName } from '../core/policy-version.js'
import { cliActing, EXIT, explainFailure, print, printJson, printNote, withDatabase } from './context.js'
import type { CommandContext, CommonOptions } from './context.js'
import { createProgress } from './progress.js'

/** The transactions of several users at the same time use half of the pool. */
export const APPLY_POOL_SIZE = 8

export async function policyApply(options: CommonOptions): Promise<number> {
  return await withDatabase(options, async (context) => {
    const { policy: { source } } = context.file
    if (source === 'file') throw new GatehouseError('policy_source_file', { remedy: 'Nothing is deployed there.' })
    const admin = await policyApplyAdmin(context)
    return applicationShown(await finished(admin, await admin.begin(cliActing())), options)
  }, { needs: 'file', poolSize: APPLY_POOL_SIZE })
}

/** An application as far as it went, and why it went no further. */
export interface Finished {
  readonly application: PolicyApplication | undefined
  readonly error?: unknown
}

/** Never rejects: what was deployed before is to be printed too. */
export async function finished(admin: PolicyApplyAdmin, version: number): Promise<Finished> {
  let last: PolicyApplication | undefined
  const progress = createProgress('users mapped, in the second of two passes', async () => last?.total ?? 0)
  try {
    const application = await admin.finish(version, async (at) => {
      last = at
      if (at.pass === 'rest') await progress.at(at.done)
    })
    return { application }
  } catch (error) {
    return { application: last, error }
  } finally {
    progress.end()
  }
}

export async function policyApplyAdmin({ database, file }: CommandContext): Promise<PolicyApplyAdmin> {
  const [
    { appliedPolicy, createPolicyApply },
    { createPolicyVersionStore },
    { databasePolicyLoader },
  ] = await Promise.all([
    import('../policy-applications.js'),
    import('../store/policy-versions.js'),
    import('../database-policy.js'),
  ])
  const load = databasePolicyLoader(database)
  return createPolicyApply(file, {
    name: cliActing().actor,
    database,
    async policyOf(version) {
      const known = await createPolicyVersionStore(database).get(version)
      return known && appliedPolicy((await load(known.text, file, versionName(version))).config)
    },
    log: { warn: ({ username }: { username?: string }, text) => printNote(`gatehouse: ${username ?? ''}: ${text}`) },
  })
}

/** @returns the exit code */
export function applicationShown(done: Finished, { json = false }: CommonOptions): number {
  if (json) printJson(done.application ?? null)
  else for (const line of applicationLines(done.application)) print(line)
  return applicationExit(done, json)
}

/** What is wrong with it goes to standard error. @returns the exit code */
export function applicationExit({ application, error }: Finished, json: boolean): number {
  if (error !== undefined) {
    printNote('gatehouse: it ended in the middle; a replica goes on within half a minute, or: gatehouse policy apply')
    if (!json) explainFailure(error)
    return EXIT.failed
  }
  return application?.state === 'done' && application.failed === 0 ? EXIT.ok : EXIT.failed
}

export function applicationLines(application: PolicyApplication | undefined): readonly string[] {
  if (application === undefined) return ['No user was mapped anew yet.']
  const { version, state, pass, done, gains, losses, tooOld, failed } = application
  const people = pass === 'losses' ? `${done} users were looked at for losses` : `${done} users were mapped anew`
  return [
    `${people} by version ${version}: ${gains} gained rights, ${losses} lost some.`,
    ...tooOld === 0 ? [] : [`${tooOld} of the snapshots were older than sync.maxStaleness: those took away only.`],
    ...failed === 0 ? [] : [`${failed} users could not be mapped: try again with gatehouse policy apply.`],
    ...state === 'replaced' ? ['Another version came into force meanwhile, so this one is not applied further.'] : [],
  ]
}
