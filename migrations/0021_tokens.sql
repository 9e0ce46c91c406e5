-- Tokens of programs (src/core/token.ts).
CREATE TABLE "tokens" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"owner_id" uuid NOT NULL,
	"scopes" text[] NOT NULL,
	"hash" "bytea" NOT NULL,
	"request_id" uuid,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"created_by" text NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"last_used_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	CONSTRAINT "tokens_hash_unique" UNIQUE("hash"),
	CONSTRAINT "tokens_request" UNIQUE("owner_id","request_id")
);
--> statement-breakpoint
ALTER TABLE "tokens" ADD CONSTRAINT "tokens_owner_id_users_id_fk" FOREIGN KEY ("owner_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "tokens_created" ON "tokens" USING btree ("created_at","id");
--> statement-breakpoint
-- A token that is revoked, or whose row is deleted before its end, is remembered like everything that is taken away.
DO $migration$
DECLARE
  here text := quote_ident(current_schema());
  definition text;
BEGIN
  FOREACH definition IN ARRAY ARRAY[
$definition$
CREATE FUNCTION @.gatehouse_record_revoked_token() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM @.gatehouse_record('token.revoked', ARRAY[OLD.id]);
  RETURN NULL;
END $$
$definition$,
$definition$
CREATE FUNCTION @.gatehouse_record_removed_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM @.gatehouse_record('token.revoked',
    (SELECT array_agg(id) FROM gone WHERE revoked_at IS NULL AND expires_at > now()));
  RETURN NULL;
END $$
$definition$
  ] LOOP
    EXECUTE replace(definition, '@', here);
  END LOOP;
  FOREACH definition IN ARRAY ARRAY['gatehouse_record_revoked_token()', 'gatehouse_record_removed_tokens()'] LOOP
    EXECUTE format('ALTER FUNCTION %s.%s SECURITY DEFINER SET search_path = pg_catalog, pg_temp', here, definition);
    EXECUTE format('REVOKE ALL ON FUNCTION %s.%s FROM PUBLIC', here, definition);
  END LOOP;
END $migration$;--> statement-breakpoint
CREATE TRIGGER gatehouse_changed AFTER UPDATE OF revoked_at ON tokens FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION gatehouse_record_revoked_token();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON tokens REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_removed_tokens();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_all AFTER TRUNCATE ON tokens FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_table('bulk');
