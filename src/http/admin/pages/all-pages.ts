// Every page of the console. A page that is not in this list has no route, and the tests visit every page of it.
import { accessPage } from './access-page.js'
import { auditPage } from './audit.js'
import { doctorPage, doctorRun } from './doctor.js'
import { draftPreviewPage, draftPreviewRun } from './draft-preview.js'
import { draftChangesPage, draftsPage } from './drafts-page.js'
import { rowPages } from './draft-rows.js'
import { rulePages } from './draft-rules.js'
import { groupPage } from './group-page.js'
import { groupsPage } from './groups-page.js'
import { imagesPage } from './images-page.js'
import { overviewPage } from './overview.js'
import type { AdminPage } from './page.js'
import { peoplePage } from './people-page.js'
import { personPage } from './person-page.js'
import { reviewsPage } from './reviews-page.js'
import { sessionsPage } from './sessions-page.js'
import { mappingPage } from './mapping-page.js'
import { explainPage, personAccessPage } from './person-policy.js'
import { superusersPage } from './superusers-page.js'
import { testPage } from './test-page.js'
import { programsPage } from './programs-page.js'
import { systemPage } from './system.js'
import { versionPage, versionsDiffPage, versionsPage } from './versions-page.js'

export const PAGES: readonly AdminPage[] = [
  overviewPage,
  peoplePage,
  personPage,
  superusersPage,
  groupsPage,
  groupPage,
  reviewsPage,
  sessionsPage,
  auditPage,
  explainPage,
  personAccessPage,
  mappingPage,
  accessPage,
  testPage,
  draftsPage,
  draftChangesPage,
  draftPreviewPage,
  rowPages.list,
  rulePages.list,
  imagesPage,
  versionsPage,
  versionPage,
  versionsDiffPage,
  programsPage,
  systemPage,
  doctorPage,
]

/** What a form with POST is answered with. */
export const FORM_PAGES: readonly AdminPage[] = [doctorRun, draftPreviewRun]
