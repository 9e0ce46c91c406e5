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
-- there, whose lock all commits share until a standby has confirmed. Those triggers stay, because dropping one locks its
-- table against every read, and do nothing any more. The tables are locked against writes, in the order of a login.
LOCK TABLE groups, group_permissions, users, identities, user_groups, sessions, signing_keys IN SHARE ROW EXCLUSIVE MODE;--> statement-breakpoint
CREATE OR REPLACE FUNCTION gatehouse_sessions_ended() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;--> statement-breakpoint
CREATE OR REPLACE FUNCTION gatehouse_users_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;--> statement-breakpoint
CREATE OR REPLACE FUNCTION gatehouse_users_gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;--> statement-breakpoint
CREATE OR REPLACE FUNCTION gatehouse_rows_of_users() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;--> statement-breakpoint
CREATE OR REPLACE FUNCTION gatehouse_everything() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;--> statement-breakpoint
CREATE OR REPLACE FUNCTION gatehouse_keys_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;--> statement-breakpoint
-- A role that may change these tables records the change, whatever it may do with the outbox: so the functions run with
-- the rights of their owner. Nothing but pg_catalog is in their search path, and @ stands for the schema of the tables.
DO $migration$
DECLARE
  here text := quote_ident(current_schema());
  definition text;
BEGIN
  FOREACH definition IN ARRAY ARRAY[
$definition$
-- A replica of the previous release (0.2) is notified by the notifier of this one, or, where none is running, by the
-- commit itself. Rows of the future are left from before the server's clock went back.
CREATE FUNCTION @.gatehouse_notify_previous_release() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM @.replicas WHERE listens AND heartbeat_at
    BETWEEN clock_timestamp() - interval '3 seconds' AND clock_timestamp() + interval '3 seconds')
  THEN
    PERFORM pg_notify('gatehouse', '*'), pg_notify('gatehouse', 'k');
  END IF;
END $$
$definition$,
$definition$
CREATE FUNCTION @.gatehouse_record(what text, ids text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  total int := coalesce(array_length(ids, 1), 0);
BEGIN
  IF total = 0 THEN
    RETURN;
  ELSIF total > 50000 THEN
    INSERT INTO @.changes (kind, subjects) VALUES ('bulk', ARRAY[what]);
  ELSE
    INSERT INTO @.changes (kind, subjects) SELECT what, ids[part * 1000 + 1 : part * 1000 + 1000]
      FROM generate_series(0, (total - 1) / 1000) AS part;
  END IF;
  PERFORM @.gatehouse_notify_previous_release();
END $$
$definition$,
$definition$
-- The kind is the trigger's argument.
CREATE FUNCTION @.gatehouse_record_table() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM @.gatehouse_record(TG_ARGV[0], ARRAY[TG_TABLE_NAME::text]);
  RETURN NULL;
END $$
$definition$,
$definition$
CREATE FUNCTION @.gatehouse_record_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT count(*) FROM gone) > 50000 THEN
    PERFORM @.gatehouse_record('bulk', ARRAY['session.ended']);
  ELSE
    PERFORM @.gatehouse_record('session.ended', (SELECT array_agg(encode(id_hash, 'hex')) FROM gone));
  END IF;
  RETURN NULL;
END $$
$definition$,
$definition$
-- The plan is kept from the first call, which usually changes one row: a nested loop would take hours for a million.
CREATE FUNCTION @.gatehouse_record_users() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
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
  IF profile IS NOT NULL THEN PERFORM @.gatehouse_record('user.changed', profile); END IF;
  IF deactivated IS NOT NULL THEN PERFORM @.gatehouse_record('user.deactivated', deactivated); END IF;
  IF activated IS NOT NULL THEN PERFORM @.gatehouse_record('user.activated', activated); END IF;
  IF not_staff IS NOT NULL THEN PERFORM @.gatehouse_record('staff.lost', not_staff); END IF;
  IF staff IS NOT NULL THEN PERFORM @.gatehouse_record('staff.given', staff); END IF;
  IF not_superuser IS NOT NULL THEN PERFORM @.gatehouse_record('superuser.lost', not_superuser); END IF;
  IF superuser IS NOT NULL THEN PERFORM @.gatehouse_record('superuser.given', superuser); END IF;
  RETURN NULL;
END $$
$definition$,
$definition$
CREATE FUNCTION @.gatehouse_record_removed_users() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM @.gatehouse_record('user.removed', (SELECT array_agg(id::text) FROM gone));
  RETURN NULL;
END $$
$definition$,
$definition$
CREATE FUNCTION @.gatehouse_record_memberships() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM @.gatehouse_record(CASE TG_OP WHEN 'INSERT' THEN 'group.given' ELSE 'group.lost' END,
    (SELECT array_agg(concat_ws('/', user_id, group_id)) FROM rows));
  RETURN NULL;
END $$
$definition$,
$definition$
CREATE FUNCTION @.gatehouse_record_identities() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM @.gatehouse_record(CASE TG_OP WHEN 'INSERT' THEN 'identity.given' ELSE 'identity.lost' END,
    (SELECT array_agg(concat_ws('/', user_id, tid, oid)) FROM rows));
  RETURN NULL;
END $$
$definition$,
$definition$
CREATE FUNCTION @.gatehouse_record_removed_groups() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM @.gatehouse_record('group.removed', (SELECT array_agg(id::text) FROM gone));
  RETURN NULL;
END $$
$definition$,
$definition$
CREATE FUNCTION @.gatehouse_record_permissions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM @.gatehouse_record(CASE TG_OP WHEN 'INSERT' THEN 'permission.given' ELSE 'permission.lost' END,
    (SELECT array_agg(concat_ws('/', group_id, permission)) FROM rows));
  RETURN NULL;
END $$
$definition$,
$definition$
CREATE FUNCTION @.gatehouse_record_withdrawn_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM @.gatehouse_record('key.withdrawn', (SELECT array_agg(kid) FROM gone));
  RETURN NULL;
END $$
$definition$
  ] LOOP
    EXECUTE replace(definition, '@', here);
  END LOOP;
  FOREACH definition IN ARRAY ARRAY['gatehouse_notify_previous_release()', 'gatehouse_record(text, text[])',
    'gatehouse_record_table()', 'gatehouse_record_sessions()', 'gatehouse_record_users()',
    'gatehouse_record_removed_users()', 'gatehouse_record_memberships()', 'gatehouse_record_identities()',
    'gatehouse_record_removed_groups()', 'gatehouse_record_permissions()', 'gatehouse_record_withdrawn_keys()']
  LOOP
    EXECUTE format('ALTER FUNCTION %s.%s SECURITY DEFINER SET search_path = pg_catalog, pg_temp', here, definition);
    EXECUTE format('REVOKE ALL ON FUNCTION %s.%s FROM PUBLIC', here, definition);
  END LOOP;
END $migration$;--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON sessions REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_sessions();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_all AFTER TRUNCATE ON sessions FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_table('bulk');--> statement-breakpoint
CREATE TRIGGER gatehouse_changed AFTER UPDATE ON users REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_users();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON users REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_removed_users();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_in AFTER INSERT ON user_groups REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_memberships();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON user_groups REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_memberships();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_all AFTER TRUNCATE OR UPDATE OF user_id, group_id ON user_groups FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_table('bulk');--> statement-breakpoint
CREATE TRIGGER gatehouse_changed AFTER UPDATE OF name ON groups FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_table('everything');--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON groups REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_removed_groups();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_in AFTER INSERT ON group_permissions REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_permissions();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON group_permissions REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_permissions();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_all AFTER TRUNCATE OR UPDATE ON group_permissions FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_table('bulk');--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_in AFTER INSERT ON identities REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_identities();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON identities REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_identities();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed AFTER INSERT OR UPDATE ON signing_keys FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_table('keys.changed');--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_out AFTER DELETE ON signing_keys REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_withdrawn_keys();--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_all AFTER TRUNCATE ON signing_keys FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_table('bulk');