CREATE TABLE "change_signals" (
	"user_id" uuid PRIMARY KEY NOT NULL,
	"signalled_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "delta_chains" (
	"id" uuid PRIMARY KEY NOT NULL,
	"scope" text NOT NULL,
	"kind" text NOT NULL,
	"group_ids" uuid[] NOT NULL,
	"nested" jsonb NOT NULL,
	"former" jsonb NOT NULL,
	"added" uuid[] NOT NULL,
	"link" text NOT NULL,
	"following" boolean NOT NULL,
	"announced" boolean NOT NULL,
	"pages" integer NOT NULL,
	"read_at" timestamp with time zone NOT NULL
);
