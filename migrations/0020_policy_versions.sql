-- Versions of the policy (src/core/policy-version.ts): rows that nothing changes. Every replica writes into its own
-- row which one it runs; the previous version of Gatehouse leaves that empty.
CREATE TABLE "policy_versions" (
	"number" integer PRIMARY KEY NOT NULL,
	"source" text NOT NULL,
	"text" text NOT NULL,
	"hash" text NOT NULL,
	"schema" integer NOT NULL,
	"release" text NOT NULL,
	"author" text NOT NULL,
	"message" text DEFAULT '' NOT NULL,
	"at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	"parent" integer,
	"findings" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"gains" integer,
	"losses" integer
);
--> statement-breakpoint
ALTER TABLE "replicas" ADD COLUMN "policy" integer;--> statement-breakpoint
CREATE UNIQUE INDEX "policy_versions_file" ON "policy_versions" USING btree ("hash") WHERE "policy_versions"."source" = 'file';--> statement-breakpoint
CREATE INDEX "policy_versions_source" ON "policy_versions" USING btree ("source","number");--> statement-breakpoint
CREATE FUNCTION policy_versions_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'versions of the policy are not changed and not deleted' USING ERRCODE = 'insufficient_privilege';
END $$;--> statement-breakpoint
CREATE TRIGGER policy_versions_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON "policy_versions"
  FOR EACH STATEMENT EXECUTE FUNCTION policy_versions_guard();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed AFTER INSERT ON "policy_versions"
  FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_table('policy.changed');
