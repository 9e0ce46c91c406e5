-- Replicas remember the numbers of versions of the policy: where the database has lost one with its history, another
-- version does not get its number.
ALTER TABLE "outbox" ADD COLUMN "version_floor" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
DO $migration$
DECLARE
  here text := quote_ident(current_schema());
BEGIN
  EXECUTE replace($definition$
CREATE FUNCTION @.gatehouse_record_versions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM @.gatehouse_record('policy.added', (SELECT array_agg(number::text) FROM rows));
  RETURN NULL;
END $$
$definition$, '@', here);
  EXECUTE format('ALTER FUNCTION %s.gatehouse_record_versions() SECURITY DEFINER SET search_path = pg_catalog, pg_temp', here);
  EXECUTE format('REVOKE ALL ON FUNCTION %s.gatehouse_record_versions() FROM PUBLIC', here);
END $migration$;--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_in AFTER INSERT ON policy_versions REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_versions();
