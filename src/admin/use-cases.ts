// Everything that an administrator can do, in one object: the console's pages, its API and the commands call the same
// functions, so that they cannot differ. `src/console.ts` makes it.
import type { AccessAdmin } from './access.js'
import type { AccessTestAdmin } from './access-test.js'
import type { MembershipActs } from './acts/memberships.js'
import type { GroupActs } from './acts/groups.js'
import type { KeyActs } from './acts/keys.js'
import type { PeopleActs } from './acts/people.js'
import type { ApplicationActs } from './acts/policy-applications.js'
import type { ApprovalActs } from './acts/policy-approvals.js'
import type { DeployActs } from './acts/policy-deploys.js'
import type { DraftActs } from './acts/policy-drafts.js'
import type { ImageActs } from './acts/policy-images.js'
import type { ReviewActs } from './acts/reviews.js'
import type { SessionActs } from './acts/sessions.js'
import type { TokenActs } from './acts/tokens.js'
import type { AuditAdmin } from './audit.js'
import type { DoctorAdmin } from './doctor.js'
import type { ExplainAdmin } from './explain.js'
import type { HealthAdmin } from './health.js'
import type { OverviewAdmin } from './overview.js'
import type { GroupsAdmin } from './groups.js'
import type { KeysAdmin } from './keys.js'
import type { MappingAdmin } from './mapping.js'
import type { PeopleAdmin } from './people.js'
import type { PersonAccessAdmin } from './person-access.js'
import type { PolicyAdmin } from './policy.js'
import type { PolicyApprovalsAdmin } from './policy-approvals.js'
import type { PolicyDraftsAdmin } from './policy-drafts.js'
import type { PolicyEntriesAdmin } from './policy-entries.js'
import type { PolicyImagesAdmin } from './policy-images.js'
import type { PolicyPreviewAdmin } from './policy-preview.js'
import type { PolicyVersionsAdmin } from './policy-versions.js'
import type { ReviewsAdmin } from './reviews.js'
import type { SessionsAdmin } from './sessions.js'
import type { TokensAdmin } from './tokens.js'
import type { PolicyApplications } from '../core/policy-application.js'
import type { AdminForms } from '../core/admin-forms.js'

/** What changes something: each use case is one transaction with its audit row (acts/perform.ts). */
export interface AdminActs extends CommandActs {
  readonly deploys: DeployActs
  readonly approvals: ApprovalActs
  readonly applications: ApplicationActs
}

/** Those of commands, which deploy by `PolicyDeploysAdmin`. */
export interface CommandActs {
  readonly sessions: SessionActs
  readonly people: PeopleActs
  readonly tokens: TokenActs
  readonly memberships: MembershipActs
  readonly reviews: ReviewActs
  readonly groups: GroupActs
  readonly keys: KeyActs
  readonly drafts: DraftActs
  readonly images: ImageActs
}

/** Each part of the console adds its own member. */
export interface AdminUseCases {
  readonly people: PeopleAdmin
  readonly groups: GroupsAdmin
  readonly sessions: SessionsAdmin
  readonly tokens: TokensAdmin
  readonly reviews: ReviewsAdmin
  readonly audit: AuditAdmin
  readonly access: AccessAdmin
  readonly accessTest: AccessTestAdmin
  readonly explain: ExplainAdmin
  readonly mapping: MappingAdmin
  readonly personAccess: PersonAccessAdmin
  readonly policy: PolicyAdmin
  readonly policyVersions: PolicyVersionsAdmin
  readonly policyDrafts: PolicyDraftsAdmin
  readonly policyEntries: PolicyEntriesAdmin
  readonly policyPreview: PolicyPreviewAdmin
  readonly policyImages: PolicyImagesAdmin
  readonly policyApprovals: PolicyApprovalsAdmin
  readonly policyApplications: Pick<PolicyApplications, 'find'>
  readonly health: HealthAdmin
  readonly keys: KeysAdmin
  readonly doctor: DoctorAdmin
  readonly overview: OverviewAdmin
  readonly acts: AdminActs
  readonly forms: AdminForms
}
