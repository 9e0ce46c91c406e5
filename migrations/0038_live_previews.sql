-- Live previews: two previews for each draft, who runs the one live preview of the installation (core/live-preview.ts),
-- and until when Graph asked the sign-ins of a replica to wait.
CREATE TABLE "live_preview" (
	"singleton" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"run" uuid,
	"actor" text NOT NULL,
	"place" text NOT NULL,
	"started_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"renewed_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"until" timestamp with time zone,
	CONSTRAINT "live_preview_singleton" CHECK ("live_preview"."singleton")
);
--> statement-breakpoint
ALTER TABLE "policy_previews" ADD COLUMN "live" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "policy_previews" ADD COLUMN "until" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "policy_previews" DROP CONSTRAINT "policy_previews_pkey";--> statement-breakpoint
ALTER TABLE "policy_previews" ADD CONSTRAINT "policy_previews_draft_live_pk" PRIMARY KEY("draft","live");--> statement-breakpoint
ALTER TABLE "replicas" ADD COLUMN "throttled_until" timestamp with time zone;
