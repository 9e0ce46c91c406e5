// The whole configuration, once: the static type (config.ts), the loader (read.ts), config/gatehouse.schema.json and
// docs/configuration.md are all derived from what stands here.
import type { Static } from 'typebox'
import { STEPS } from '../core/pipeline/index.js'
import {
  adminSection,
  auditSection,
  databaseSection,
  entraSection,
  keysSection,
  logSection,
  serverSection,
  sessionSection,
} from './schema-gateway.js'
import { choice, flag, leaf, list, section } from './schema-parts.js'
import { stepFile, policySection } from './schema-policy.js'
import { application, brandingSection } from './schema-pages.js'
import { accessSection, authAllowedSection, headersSection, mappingRow, syncSection } from './schema-rights.js'
import { Type } from './schema-types.js'

export const DEFAULT_PIPELINE: readonly string[] = Object.keys(STEPS)

export const configSchema = section('The configuration of Gatehouse.', {
  server: serverSection,
  entra: entraSection,
  database: databaseSection,
  session: sessionSection,
  keys: keysSection,
  groupMapping: list(mappingRow, 'What each Entra group grants; rows are independent of one another.', { default: [] }),
  requireMappedGroup: flag('Refuses people whom the mapping grants nothing, and empties what they had.', false),
  username: choice(
    ['upn', 'email', 'name'],
    "What a new user's name is made of: upn (else preferred_username, else a verified e-mail, else the object ID), " +
      'email (a verified one, else upn, else the object ID), ' +
      'or name (the display name; needs usernameUnverified, else as upn).',
    { default: 'upn' },
  ),
  usernameUnverified: flag('You answer for unverified addresses and display names: they may become usernames.', false),
  reservedUsernames: list(leaf('text', 'A username.', { maxLength: 150 }), 'Usernames that no login may take.', {
    default: ['admin', 'root', 'administrator'],
  }),
  associateByEmail: flag(
    // guard: linking-off
    'Arms the step associate_by_email: a verified address links to the one eligible user who has it.',
    false,
  ),
  authAllowed: authAllowedSection,
  defaultGroups: list(
    leaf('groupName', 'The exact name of a local group.'),
    'The groups of user_default_groups_handler; without effect while azuread_map_groups follows, as in NetBox.',
    { default: [] },
  ),
  pipeline: list(
    leaf('step', 'The name of a step, or ./file.js for your own.'),
    'The steps of a login, in order; azuread_map_groups is last.',
    { default: DEFAULT_PIPELINE },
  ),
  access: accessSection,
  headers: headersSection,
  applications: list(
    application,
    'What the home page offers, in this order: each person sees those that the access rules let them open.',
    { default: [] },
  ),
  branding: brandingSection,
  sync: Type.Optional(syncSection),
  policy: policySection,
  ownSteps: list(stepFile, 'Custom steps, where policy.source is database: a policy there names these alone.', {
    default: [],
  }),
  admin: Type.Optional(adminSection),
  audit: auditSection,
  log: logSection,
})

/** The file as it is written, with the defaults filled in. */
export type ConfigFile = Static<typeof configSchema>
