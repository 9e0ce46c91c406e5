-- The re-evaluation reads users in the order of their snapshots (src/store/reevaluation-order.ts). Whether a user is
-- privileged, and that there was no session, stand with the snapshot, so that one index has the order. Triggers keep
-- both, so that commands and the previous release keep them too. The tables are locked in the order of a login.
LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE;--> statement-breakpoint
LOCK TABLE entra_readings, entra_checks, change_signals IN ACCESS EXCLUSIVE MODE;--> statement-breakpoint
ALTER TABLE "entra_readings" ADD COLUMN "privileged" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "entra_readings" ADD COLUMN "without_session" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX "change_signals_order" ON "change_signals" USING btree ("signalled_at","user_id");--> statement-breakpoint
CREATE INDEX "entra_checks_order" ON "entra_checks" USING btree ("tried_at","user_id");--> statement-breakpoint
CREATE INDEX "entra_readings_order" ON "entra_readings" USING btree ("privileged","read_at","user_id") WHERE not "entra_readings"."without_session";--> statement-breakpoint
DO $migration$
DECLARE
  here text := quote_ident(current_schema());
  definition text;
BEGIN
  FOREACH definition IN ARRAY ARRAY[
$definition$
CREATE FUNCTION @.gatehouse_order_snapshot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.without_session := false;
  IF TG_OP = 'INSERT' THEN
    NEW.privileged := coalesce((SELECT is_staff OR is_superuser FROM @.users WHERE id = NEW.user_id), false);
  END IF;
  RETURN NEW;
END $$
$definition$,
$definition$
-- Whoever changes a flag has locked the user's row; a transaction locks it before the snapshot's row.
CREATE FUNCTION @.gatehouse_order_privileged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE @.entra_readings SET privileged = NEW.is_staff OR NEW.is_superuser WHERE user_id = NEW.id;
  RETURN NULL;
END $$
$definition$
  ] LOOP
    EXECUTE replace(definition, '@', here);
  END LOOP;
  FOREACH definition IN ARRAY ARRAY['gatehouse_order_snapshot()', 'gatehouse_order_privileged()'] LOOP
    EXECUTE format('ALTER FUNCTION %s.%s SECURITY DEFINER SET search_path = pg_catalog, pg_temp', here, definition);
    EXECUTE format('REVOKE ALL ON FUNCTION %s.%s FROM PUBLIC', here, definition);
  END LOOP;
END $migration$;--> statement-breakpoint
CREATE TRIGGER gatehouse_order BEFORE INSERT OR UPDATE OF read_at ON entra_readings FOR EACH ROW EXECUTE FUNCTION gatehouse_order_snapshot();--> statement-breakpoint
CREATE TRIGGER gatehouse_order AFTER UPDATE OF is_staff, is_superuser ON users FOR EACH ROW
  WHEN ((OLD.is_staff OR OLD.is_superuser) IS DISTINCT FROM (NEW.is_staff OR NEW.is_superuser)) EXECUTE FUNCTION gatehouse_order_privileged();--> statement-breakpoint
UPDATE entra_readings SET privileged = true FROM users WHERE id = user_id AND (is_staff OR is_superuser);
