// Versions of the policy for the console, its API and the commands: history, one version, and what differs between two.
import { createTwoFilesPatch } from 'diff'
import { parse } from 'yaml'
import { differences } from '../core/differences.js'
import { GatehouseError } from '../core/errors.js'
import type { Page, PageRequest } from '../core/page.js'
import { versionName, type PolicyVersions, type VersionDetails, type VersionSummary } from '../core/policy-version.js'

export interface PolicyVersionsAdmin {
  /** The newest first. */
  list(page: PageRequest<number>): Promise<Page<VersionSummary, number>>
  /** @param number undefined: the newest @throws `policy_version_unknown` */
  get(number: number | undefined): Promise<VersionDetails>
  /** @param to undefined: the newest @throws `policy_version_unknown` */
  diff(from: number, to: number | undefined): Promise<VersionsDiff>
}

export interface VersionsDiff {
  readonly from: VersionSummary
  readonly to: VersionSummary
  /** What differs in meaning: neither comments nor the order of keys. */
  readonly changes: readonly PolicyChange[]
  /** Unified diff of the texts; undefined: they differ in so much that it takes too long. */
  readonly patch: string | undefined
}

export interface PolicyChange {
  /** Such as `access.default`, or `groupMapping` for a row. */
  readonly path: string
  /** JSON; null: added. */
  readonly before: string | null
  /** JSON; null: removed. */
  readonly after: string | null
}

/** Texts of 10,000 rows that have little in common are not compared line by line. */
const DIFF_MS = 1_000

export function createPolicyVersionsAdmin(versions: PolicyVersions): PolicyVersionsAdmin {
  const get = async (number: number | undefined): Promise<VersionDetails> =>
    await knownVersion(versions, number ?? await versions.newest())
  return {
    list: (page) => versions.list(page),
    get,
    async diff(fromNumber, toNumber) {
      const [from, to] = await Promise.all([get(fromNumber), get(toNumber)])
      return { from, to, changes: changesBetween(from.text, to.text), patch: patchOf(from, to) }
    },
  }
}

/** @throws GatehouseError `policy_version_unknown`, also where there is no number because there is no version */
export async function knownVersion(
  versions: Pick<PolicyVersions, 'get'>,
  number: number | undefined,
): Promise<VersionDetails> {
  const version = number === undefined ? undefined : await versions.get(number)
  if (version === undefined) throw versionUnknown(number)
  return version
}

/** @param before,after YAML of policies that were accepted */
export function changesBetween(before: string, after: string): readonly PolicyChange[] {
  const [from, to] = [before, after].map(policyValues)
  return differences('', from, to).map((each) => ({
    path: each.path,
    before: each.before === undefined ? null : JSON.stringify(each.before),
    after: each.after === undefined ? null : JSON.stringify(each.after),
  }))
}

/** @param text YAML of a policy that was accepted */
export function policyValues(text: string): unknown {
  return parse(text, { maxAliasCount: -1 }) ?? {}
}

function patchOf(from: VersionDetails, to: VersionDetails): string | undefined {
  return patchBetween({ name: versionName(from.number), text: from.text }, {
    name: versionName(to.number),
    text: to.text,
  })
}

interface NamedText {
  readonly name: string
  readonly text: string
}

/** @returns a unified diff; undefined: the texts differ in so much that it takes too long */
export function patchBetween(from: NamedText, to: NamedText): string | undefined {
  return createTwoFilesPatch(from.name, to.name, from.text, to.text, undefined, undefined, { timeout: DIFF_MS })
}

export function versionUnknown(number: number | undefined): GatehouseError {
  return new GatehouseError('policy_version_unknown', {
    detail: number === undefined ? 'there is no version of the policy yet' : `there is no policy version ${number}`,
    remedy: 'gatehouse policy versions lists them. A running gateway adds the policy that it has loaded.',
  })
}
