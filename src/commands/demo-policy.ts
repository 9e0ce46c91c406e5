// The policy of the demo is in the database, so that drafts can be deployed in its console: it is taken out of the
// configuration file, and is the first version.
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parseDocument, type Document } from 'yaml'
import type { AdminActs } from '../admin/use-cases.js'
import type { Config } from '../config/config.js'
import { POLICY_KEYS, policyTextOf } from '../config/policy-text.js'
import { configWithPolicy } from '../config/running-config.js'
import { databasePolicyLoader } from '../database-policy.js'
import { createPolicyDeploys } from '../policy-deploys.js'
import type { Database } from '../store/database.js'

export interface DemoPolicy {
  readonly text: string
  /** Files of the pictures that it names, by their names. */
  readonly images: ReadonlyMap<string, string>
}

/** Who has filled the database, for the audit record. */
export const DEMO_ACTING = { actor: 'demo', admin: undefined }
const NAME = 'policy.yaml'

/** @param text a whole configuration, without variables @returns the rest of it, for a policy in the database */
export function withoutPolicy(text: string): { readonly rest: string, readonly policy: DemoPolicy } {
  const document = parseDocument(text)
  const policy = parseDocument(policyTextOf(text, document).text)
  for (const key of POLICY_KEYS) document.delete(key)
  document.set('policy', { source: 'database' })
  return { rest: document.toString(), policy: { images: nameImages(policy), text: policy.toString() } }
}

/** Paths become the names of uploaded images. */
function nameImages(policy: Document): ReadonlyMap<string, string> {
  const images = new Map<string, string>()
  const named = (path: unknown): string => {
    const name = basename(String(path))
    images.set(name, String(path))
    return name
  }
  const logo = policy.getIn(['branding', 'logoFile'])
  if (logo !== undefined) {
    policy.deleteIn(['branding', 'logoFile'])
    policy.setIn(['branding', 'logo'], named(logo))
  }
  const applications = policy.toJS().applications as readonly { readonly icon?: string }[] | undefined
  for (const [index, { icon }] of (applications ?? []).entries()) {
    if (icon !== undefined) policy.setIn(['applications', index, 'icon'], named(icon))
  }
  return images
}

/** @returns the configuration with it */
export async function deployFirst(
  { text, images }: DemoPolicy,
  file: Config,
  { database, acts }: { readonly database: Database, readonly acts: Pick<AdminActs, 'images'> },
): Promise<Config> {
  for (const [name, path] of images) await acts.images.add(name, readFileSync(path), DEMO_ACTING)
  await createPolicyDeploys(database, file, NAME).deploy(text, { message: 'The policy of the demo' }, DEMO_ACTING)
  const load = databasePolicyLoader(database)
  return configWithPolicy(file, (await load(text, file, NAME)).config)
}
