-- Approvals of deploys and rollbacks (src/core/policy-approval.ts), and everybody who has edited a draft.
CREATE TABLE "policy_approvals" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"draft" text,
	"version" integer,
	"approver" uuid NOT NULL,
	"text_hash" text NOT NULL,
	"policy_hash" text NOT NULL,
	"onto" integer NOT NULL,
	"preview" text,
	"at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "policy_approvals_draft" UNIQUE("draft","approver"),
	CONSTRAINT "policy_approvals_version" UNIQUE("version","approver"),
	CONSTRAINT "policy_approvals_target" CHECK (num_nonnulls("policy_approvals"."draft", "policy_approvals"."version") = 1)
);
--> statement-breakpoint
ALTER TABLE "policy_drafts" ADD COLUMN "editors" text[] DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "policy_approvals" ADD CONSTRAINT "policy_approvals_draft_policy_drafts_id_fk" FOREIGN KEY ("draft") REFERENCES "public"."policy_drafts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "policy_approvals" ADD CONSTRAINT "policy_approvals_approver_users_id_fk" FOREIGN KEY ("approver") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
-- Of the drafts that are there: their editors are in the audit record.
UPDATE "policy_drafts" d SET "editors" = e.editors FROM (
	SELECT "detail"->>'draft' AS draft, array_agg(DISTINCT "actor") AS editors FROM "audit_events"
	WHERE "action" IN ('policy.draft.add', 'policy.draft.change') AND "actor" IS NOT NULL GROUP BY 1
) e WHERE d."id" = e.draft;
