-- How far the audit is exported (src/core/audit-export.ts, docs/decisions/audit-export.md).
CREATE TABLE "audit_exports" (
	"name" text PRIMARY KEY NOT NULL,
	"delivered" "int8multirange" DEFAULT '{}' NOT NULL,
	"settling_until" bigint,
	"settling_for" text[],
	"events" bigint DEFAULT 0 NOT NULL,
	"rejected" bigint DEFAULT 0 NOT NULL,
	"delivered_until" timestamp with time zone,
	"accepted_at" timestamp with time zone,
	"failures" integer DEFAULT 0 NOT NULL,
	"failing_since" timestamp with time zone,
	"cause" text,
	"detail" text,
	"retry_at" timestamp with time zone,
	"section" text,
	"first_id" bigint,
	"first_at" timestamp with time zone,
	"batch_events" integer
);
