-- Seals of the audit (docs/decisions/audit-seals.md). The column is added without its default, so that no row is written
-- again; older rows get a salt when they are sealed. The previous version inserts rows with the default.
ALTER TABLE "audit_events" ADD COLUMN "name_salt" uuid;--> statement-breakpoint
ALTER TABLE "audit_events" ALTER COLUMN "name_salt" SET DEFAULT gen_random_uuid();--> statement-breakpoint
ALTER TABLE "audit_events" ADD COLUMN "name_commitment" bytea;--> statement-breakpoint
CREATE TABLE "audit_seals" (
	"number" bigint PRIMARY KEY NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"ids" text NOT NULL,
	"rows" integer NOT NULL,
	"first_at" timestamp with time zone NOT NULL,
	"last_at" timestamp with time zone NOT NULL,
	"kept_since" timestamp with time zone NOT NULL,
	"rows_hash" bytea NOT NULL,
	"is_previous_known" boolean NOT NULL,
	"previous_hash" bytea NOT NULL,
	"hash" bytea NOT NULL,
	"mac" bytea NOT NULL
);--> statement-breakpoint
-- What a removal of names leaves of a row has the hash of the names beside it, as they were sealed: the same expression
-- as in src/store/audit-rows.ts.
CREATE FUNCTION audit_events_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  names constant text[] := ARRAY['tid', 'oid', 'before', 'after'];
BEGIN
  IF TG_OP = 'DELETE' THEN
    -- the housekeeping says that it is one; the previous version does not, and deletes what is past its retention
    IF current_setting('gatehouse.audit', true) = 'housekeeping' OR OLD.at < now() - interval '90 days' THEN
      RETURN OLD;
    END IF;
    RAISE EXCEPTION 'rows of audit_events are not deleted before their retention has passed'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF (NEW.id, NEW.at, NEW.action, NEW.actor) IS DISTINCT FROM (OLD.id, OLD.at, OLD.action, OLD.actor)
    OR (NEW.user_id, NEW.correlation_id) IS DISTINCT FROM (OLD.user_id, OLD.correlation_id) THEN
    RAISE EXCEPTION 'rows of audit_events are not changed' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF OLD.name_salt IS NULL AND OLD.name_commitment IS NULL AND NEW.name_salt IS NOT NULL
    AND NEW.name_commitment IS NULL AND NEW.username IS NOT DISTINCT FROM OLD.username AND NEW.detail = OLD.detail THEN
    RETURN NEW; -- a row from before the seals gets its salt
  END IF;
  IF NEW.username IS NOT NULL OR NEW.detail <> OLD.detail - names OR NEW.name_salt IS DISTINCT FROM OLD.name_salt
    OR NEW.name_commitment IS DISTINCT FROM OLD.name_commitment THEN
    RAISE EXCEPTION 'rows of audit_events are not changed, only names are removed from them'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  NEW.name_commitment := coalesce(OLD.name_commitment, sha256(convert_to(
    jsonb_build_array(coalesce(OLD.name_salt, gen_random_uuid()), OLD.username, OLD.detail)::text, 'UTF8')));
  NEW.name_salt := NULL;
  RETURN NEW;
END $$;--> statement-breakpoint
CREATE TRIGGER audit_events_guard BEFORE UPDATE OR DELETE ON "audit_events"
  FOR EACH ROW EXECUTE FUNCTION audit_events_guard();--> statement-breakpoint
CREATE FUNCTION audit_seals_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'seals of the audit are not changed and not deleted' USING ERRCODE = 'insufficient_privilege';
END $$;--> statement-breakpoint
CREATE TRIGGER audit_seals_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_seals"
  FOR EACH STATEMENT EXECUTE FUNCTION audit_seals_guard();
