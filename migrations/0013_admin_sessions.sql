CREATE TABLE "admin_sessions" (
	"id_hash" "bytea" PRIMARY KEY NOT NULL,
	"id" uuid DEFAULT gen_random_uuid() NOT NULL,
	"session_id" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp with time zone DEFAULT now() NOT NULL,
	"authenticated_at" timestamp with time zone NOT NULL,
	CONSTRAINT "admin_sessions_id_unique" UNIQUE("id")
);
--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "authenticated_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "admin_sessions_session" ON "admin_sessions" USING btree ("session_id");--> statement-breakpoint
-- A fresh sign-in renews a session in place: its former id has ended. Only statements that set the column fire the trigger.
DO $migration$
DECLARE
  here text := quote_ident(current_schema());
BEGIN
  EXECUTE replace($definition$
CREATE FUNCTION @.gatehouse_record_renewed_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM @.gatehouse_record('session.ended', ARRAY[encode(OLD.id_hash, 'hex')]);
  RETURN NULL;
END $$
$definition$, '@', here);
  EXECUTE format('ALTER FUNCTION %s.gatehouse_record_renewed_session() SECURITY DEFINER SET search_path = pg_catalog, pg_temp', here);
  EXECUTE format('REVOKE ALL ON FUNCTION %s.gatehouse_record_renewed_session() FROM PUBLIC', here);
END $migration$;--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_id AFTER UPDATE OF id_hash ON sessions FOR EACH ROW WHEN (OLD.id_hash IS DISTINCT FROM NEW.id_hash) EXECUTE FUNCTION gatehouse_record_renewed_session();
