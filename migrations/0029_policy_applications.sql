CREATE TABLE "policy_applications" (
	"version" integer PRIMARY KEY NOT NULL,
	"actor" text NOT NULL,
	"correlation_id" text,
	"state" text DEFAULT 'running' NOT NULL,
	"pass" text DEFAULT 'losses' NOT NULL,
	"after" uuid DEFAULT '00000000-0000-0000-0000-000000000000' NOT NULL,
	"done" integer DEFAULT 0 NOT NULL,
	"total" integer DEFAULT 0 NOT NULL,
	"gains" integer DEFAULT 0 NOT NULL,
	"losses" integer DEFAULT 0 NOT NULL,
	"too_old" integer DEFAULT 0 NOT NULL,
	"failed" integer DEFAULT 0 NOT NULL,
	"runner" text,
	"started_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"written_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
