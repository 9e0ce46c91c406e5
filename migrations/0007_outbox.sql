CREATE TABLE "changes" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"xid" "xid8" DEFAULT pg_current_xact_id() NOT NULL,
	"kind" text NOT NULL,
	"subjects" text[] NOT NULL
);
--> statement-breakpoint
ALTER TABLE "replicas" ADD COLUMN "name" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "replicas" ADD COLUMN "config" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "replicas" ADD COLUMN "listens" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX "changes_xid" ON "changes" USING btree ("xid");--> statement-breakpoint
-- Changes that a decision may depend on go into the outbox, in the same transaction. The triggers of 0002 sent NOTIFY
-- there, whose lock all commits share until a standby has confirmed.
DROP TRIGGER gatehouse_told ON sessions;--> statement-breakpoint
DROP TRIGGER gatehouse_told_all ON sessions;--> statement-breakpoint
DROP TRIGGER gatehouse_told ON users;--> statement-breakpoint
DROP TRIGGER gatehouse_told_gone ON users;--> statement-breakpoint
DROP TRIGGER gatehouse_told_in ON user_groups;--> statement-breakpoint
DROP TRIGGER gatehouse_told_out ON user_groups;--> statement-breakpoint
DROP TRIGGER gatehouse_told_all ON user_groups;--> statement-breakpoint
DROP TRIGGER gatehouse_told ON groups;--> statement-breakpoint
DROP TRIGGER gatehouse_told ON group_permissions;--> statement-breakpoint
DROP TRIGGER gatehouse_told_in ON identities;--> statement-breakpoint
DROP TRIGGER gatehouse_told_out ON identities;--> statement-breakpoint
DROP TRIGGER gatehouse_told ON signing_keys;--> statement-breakpoint
DROP FUNCTION gatehouse_sessions_ended();--> statement-breakpoint
DROP FUNCTION gatehouse_users_changed();--> statement-breakpoint
DROP FUNCTION gatehouse_users_gone();--> statement-breakpoint
DROP FUNCTION gatehouse_rows_of_users();--> statement-breakpoint
DROP FUNCTION gatehouse_everything();--> statement-breakpoint
DROP FUNCTION gatehouse_keys_changed();--> statement-breakpoint
DROP FUNCTION gatehouse_tell(text, text[]);--> statement-breakpoint
-- Where no replica of this release is running, a replica of the previous one (0.2) would miss the change: then it is
-- notified as before, to read everything again. Rows of the future are left from before the server's clock went back.
CREATE FUNCTION gatehouse_notify_previous_release() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM replicas WHERE heartbeat_at BETWEEN clock_timestamp() - interval '3 seconds' AND clock_timestamp() + interval '3 seconds') THEN
    PERFORM pg_notify('gatehouse', '*');
  END IF;
END $$;--> statement-breakpoint
CREATE FUNCTION gatehouse_record(what text, ids text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  total int := coalesce(array_length(ids, 1), 0);
BEGIN
  IF total = 0 THEN
    RETURN;
  ELSIF total > 50000 THEN
    INSERT INTO changes (kind, subjects) VALUES ('bulk', ARRAY[what]);
  ELSE
    INSERT INTO changes (kind, subjects) SELECT what, ids[part * 1000 + 1 : part * 1000 + 1000] FROM generate_series(0, (total - 1) / 1000) AS part;
  END IF;
  PERFORM gatehouse_notify_previous_release();
END $$;--> statement-breakpoint
-- The kind is the trigger's argument.
CREATE FUNCTION gatehouse_without_subjects() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM gatehouse_record(TG_ARGV[0], ARRAY[TG_TABLE_NAME::text]);
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION gatehouse_sessions_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM gatehouse_record('session.ended', (SELECT array_agg(encode(id_hash, 'hex')) FROM gone));
  RETURN NULL;
END $$;--> statement-breakpoint
-- The plan is kept from the first call, which usually changes one row: a nested loop would take hours for a million.
CREATE FUNCTION gatehouse_users_changed() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
  profile text[]; deactivated text[]; activated text[]; not_staff text[]; staff text[]; not_superuser text[]; superuser text[];
BEGIN
  SELECT
    array_agg(id::text) FILTER (WHERE (a.username, a.email, a.email_verified, a.name, a.given_name, a.family_name)
      IS DISTINCT FROM (b.username, b.email, b.email_verified, b.name, b.given_name, b.family_name)),
    array_agg(id::text) FILTER (WHERE b.is_active AND NOT a.is_active),
    array_agg(id::text) FILTER (WHERE a.is_active AND NOT b.is_active),
    array_agg(id::text) FILTER (WHERE b.is_staff AND NOT a.is_staff),
    array_agg(id::text) FILTER (WHERE a.is_staff AND NOT b.is_staff),
    array_agg(id::text) FILTER (WHERE b.is_superuser AND NOT a.is_superuser),
    array_agg(id::text) FILTER (WHERE a.is_superuser AND NOT b.is_superuser)
  INTO profile, deactivated, activated, not_staff, staff, not_superuser, superuser
  FROM after a JOIN before b USING (id);
  PERFORM gatehouse_record('user.changed', profile);
  PERFORM gatehouse_record('user.deactivated', deactivated);
  PERFORM gatehouse_record('user.activated', activated);
  PERFORM gatehouse_record('staff.lost', not_staff);
  PERFORM gatehouse_record('staff.given', staff);
  PERFORM gatehouse_record('superuser.lost', not_superuser);
  PERFORM gatehouse_record('superuser.given', superuser);
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION gatehouse_users_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM gatehouse_record('user.removed', (SELECT array_agg(id::text) FROM gone));
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION gatehouse_memberships_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM gatehouse_record(CASE TG_OP WHEN 'INSERT' THEN 'group.given' ELSE 'group.lost' END,
    (SELECT array_agg(user_id || '/' || group_id) FROM rows));
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION gatehouse_identities_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM gatehouse_record(CASE TG_OP WHEN 'INSERT' THEN 'identity.given' ELSE 'identity.lost' END,
    (SELECT array_agg(user_id || '/' || tid || '/' || oid) FROM rows));
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION gatehouse_groups_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM gatehouse_record('group.removed', (SELECT array_agg(id::text) FROM gone));
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION gatehouse_permissions_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM gatehouse_record(CASE TG_OP WHEN 'INSERT' THEN 'permission.given' ELSE 'permission.lost' END,
    (SELECT array_agg(group_id || '/' || permission) FROM rows));
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE FUNCTION gatehouse_keys_withdrawn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM gatehouse_record('key.withdrawn', (SELECT array_agg(kid) FROM gone));
  RETURN NULL;
END $$;--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON sessions REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_sessions_ended();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_all AFTER TRUNCATE ON sessions FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_without_subjects('bulk');--> statement-breakpoint
CREATE TRIGGER gatehouse_changed AFTER UPDATE ON users REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_users_changed();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON users REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_users_removed();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_in AFTER INSERT ON user_groups REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_memberships_changed();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON user_groups REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_memberships_changed();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_all AFTER TRUNCATE OR UPDATE OF user_id, group_id ON user_groups FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_without_subjects('bulk');--> statement-breakpoint
CREATE TRIGGER gatehouse_changed AFTER UPDATE OF name ON groups FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_without_subjects('everything');--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON groups REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_groups_removed();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_in AFTER INSERT ON group_permissions REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_permissions_changed();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON group_permissions REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_permissions_changed();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_all AFTER TRUNCATE OR UPDATE ON group_permissions FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_without_subjects('bulk');--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_in AFTER INSERT ON identities REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_identities_changed();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON identities REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_identities_changed();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed AFTER INSERT OR UPDATE ON signing_keys FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_without_subjects('keys.changed');--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON signing_keys REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_keys_withdrawn();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_all AFTER TRUNCATE ON signing_keys FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_without_subjects('bulk');--> statement-breakpoint
-- A role that may change these tables records the change, whatever it may do with the outbox; no other call is possible.
DO $$
DECLARE
  each regprocedure;
BEGIN
  FOR each IN SELECT oid FROM pg_proc WHERE starts_with(proname, 'gatehouse_') AND pronamespace = current_schema()::regnamespace LOOP
    EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %I, pg_temp', each, current_schema());
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', each);
  END LOOP;
END $$;