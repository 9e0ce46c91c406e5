// Every endpoint of the API. What is not in this list does not exist: not for clients, not in the document.
import { audit } from './audit.js'
import { doctor } from './doctor.js'
import type { Endpoint } from './endpoint.js'
import { addGroup, changeGroup, grantPermission, importGroups, removeGroup, revokePermission } from './group-acts.js'
import { exportGroups, group, groupMembers, groups } from './groups.js'
import { me } from './me.js'
import { giveGroup, takeGroup } from './membership-acts.js'
import { rotateKeys } from './key-acts.js'
import { addPerson, changePerson, releaseName, removePerson } from './people-acts.js'
import { people, person } from './people.js'
import { endPersonSessions, endSession, endSessions, sessions } from './sessions.js'
import { explain, personAccess } from './person-policy.js'
import { policy } from './policy.js'
import {
  addDraft,
  changeDraft,
  checkDraft,
  draftDiff,
  policyDraft,
  policyDrafts,
  previewDraft,
  removeDraft,
} from './policy-drafts.js'
import { applyVersion } from './policy-applications.js'
import { approveDraft, approveRollback } from './policy-approvals.js'
import { deployDraft, rollbackVersion } from './policy-deploys.js'
import { image, images, putImage } from './policy-images.js'
import { policyTest } from './policy-test.js'
import { policyDiff, policyVersion, policyVersions } from './policy-versions.js'
import { markRight, reviewedRight, reviews } from './reviews.js'
import { superusers } from './superusers.js'
import { answerMetrics, health, keys } from './system.js'
import { addToken, revokeToken, tokens } from './tokens.js'

export const ENDPOINTS: readonly Endpoint[] = [
  me,
  audit,
  people,
  person,
  superusers,
  groups,
  group,
  groupMembers,
  exportGroups,
  addGroup,
  changeGroup,
  removeGroup,
  grantPermission,
  revokePermission,
  importGroups,
  sessions,
  endSession,
  endSessions,
  endPersonSessions,
  addPerson,
  changePerson,
  removePerson,
  rotateKeys,
  releaseName,
  tokens,
  addToken,
  revokeToken,
  giveGroup,
  takeGroup,
  reviews,
  reviewedRight,
  markRight,
  policy,
  policyTest,
  policyVersions,
  policyVersion,
  policyDiff,
  policyDrafts,
  policyDraft,
  addDraft,
  changeDraft,
  removeDraft,
  checkDraft,
  draftDiff,
  previewDraft,
  approveDraft,
  approveRollback,
  applyVersion,
  deployDraft,
  rollbackVersion,
  images,
  image,
  putImage,
  explain,
  personAccess,
  health,
  doctor,
  keys,
  answerMetrics,
]
