-- Drafts of the policy (src/core/policy-draft.ts), and the preview of each that was made last.
CREATE TABLE "policy_drafts" (
	"id" text PRIMARY KEY NOT NULL,
	"text" text NOT NULL,
	"base" integer NOT NULL,
	"message" text DEFAULT '' NOT NULL,
	"author" text NOT NULL,
	"changed_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"changed_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"revision" integer DEFAULT 1 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "policy_previews" (
	"draft" text PRIMARY KEY NOT NULL,
	"run" uuid NOT NULL,
	"draft_hash" text NOT NULL,
	"policy_hash" text NOT NULL,
	"state" text NOT NULL,
	"done" integer DEFAULT 0 NOT NULL,
	"total" integer DEFAULT 0 NOT NULL,
	"started_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"written_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"code" text,
	"result" jsonb
);
--> statement-breakpoint
ALTER TABLE "policy_previews" ADD CONSTRAINT "policy_previews_draft_policy_drafts_id_fk" FOREIGN KEY ("draft") REFERENCES "public"."policy_drafts"("id") ON DELETE cascade ON UPDATE no action;