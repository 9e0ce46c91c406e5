// Every form of the console that changes something.
import type { ActPage } from './act-page.js'
import { applyVersionPage } from './applications.js'
import { approveDraftPage, approveRollbackPage } from './approval-acts.js'
import { addDraftPage, draftPage, removeDraftPage } from './draft-acts.js'
import { rowPages } from './draft-rows.js'
import { moveRulePage, rulePages } from './draft-rules.js'
import { deployDraftPage, rollbackPage } from './deploy-acts.js'
import { giveGroupPage, takeGroupPage } from './membership-acts.js'
import { addGroupPage, changeGroupPage, removeGroupPage } from './group-acts.js'
import { addImagePage } from './images-page.js'
import { importGroupsPage } from './group-import.js'
import { grantPermissionPage, revokePermissionPage } from './group-permission-acts.js'
import { rotateKeysPage, withdrawKeysPage } from './key-acts.js'
import { activatePage, addPage, deactivatePage, endPersonSessionsPage, removePage, renamePage } from './person-acts.js'
import { markRightPage } from './review-acts.js'
import { addTokenPage, revokeTokenPage } from './token-acts.js'
import { endAllSessionsPage, endHostSessionsPage, endSessionPage } from './session-acts.js'

export const ACT_PAGES: readonly ActPage[] = [
  endSessionPage,
  endAllSessionsPage,
  endHostSessionsPage,
  endPersonSessionsPage,
  deactivatePage,
  activatePage,
  renamePage,
  removePage,
  addPage,
  addTokenPage,
  revokeTokenPage,
  giveGroupPage,
  takeGroupPage,
  markRightPage,
  addGroupPage,
  changeGroupPage,
  removeGroupPage,
  grantPermissionPage,
  revokePermissionPage,
  importGroupsPage,
  addDraftPage,
  draftPage,
  removeDraftPage,
  rowPages.add,
  rowPages.change,
  rowPages.remove,
  rulePages.add,
  rulePages.change,
  rulePages.remove,
  moveRulePage,
  applyVersionPage,
  approveDraftPage,
  approveRollbackPage,
  deployDraftPage,
  rollbackPage,
  addImagePage,
  rotateKeysPage,
  withdrawKeysPage,
]
