// The settings and lookups of a pipeline in which nothing is configured and no user is known.
import { createGroupMapping } from '../../src/core/mapping.js'
import type { PipelineLookups, PipelineSettings } from '../../src/core/pipeline/pipeline.js'

export const SETTINGS: PipelineSettings = {
  username: 'upn',
  usernameUnverified: false,
  reservedUsernames: [],
  associateByEmail: false,
  defaultGroups: [],
  authAllowed: { emailDomains: [], guests: true },
  requireMappedGroup: false,
  mapping: createGroupMapping([]),
}

export const LOOKUPS: PipelineLookups = {
  userByIdentity: async () => undefined,
  usernameTaken: async () => false,
  usersEligibleForEmail: async () => [],
  groupIds: async () => new Map(),
}
