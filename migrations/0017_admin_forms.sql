CREATE TABLE "admin_forms" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"admin_session" uuid NOT NULL,
	"act" text NOT NULL,
	"path" text NOT NULL,
	"values" jsonb NOT NULL,
	"kept_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE INDEX "admin_forms_session" ON "admin_forms" USING btree ("admin_session","kept_at");