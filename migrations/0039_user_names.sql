-- Searches find parts of names by trigrams, where the extension pg_trgm can be installed; without it they find the
-- beginnings of names. The names are in a table of their own, so that a sign-in that changes none does not change the
-- index. They are copied and indexed before the trigger and the foreign key lock the users; those that changed meanwhile
-- are copied then.
CREATE TABLE "user_names" (
	"user_id" uuid PRIMARY KEY NOT NULL,
	"names" text NOT NULL
);
--> statement-breakpoint
DO $migration$
DECLARE
  here text := quote_ident(current_schema());
  definition text;
BEGIN
  BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
  EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'Searches find the beginnings of names: pg_trgm cannot be installed (%)', SQLERRM;
  END;
  FOREACH definition IN ARRAY ARRAY[
$definition$
CREATE FUNCTION @.gatehouse_names(username_key text, email text, name text, family_name text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT concat_ws(chr(10), username_key, lower(email), lower(name), lower(family_name))
$$
$definition$,
$definition$
CREATE FUNCTION @.gatehouse_record_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO @.user_names AS n (user_id, names)
    VALUES (NEW.id, @.gatehouse_names(NEW.username_key, NEW.email, NEW.name, NEW.family_name))
    ON CONFLICT (user_id) DO UPDATE SET names = excluded.names;
  RETURN NULL;
END $$
$definition$,
$definition$
CREATE FUNCTION @.gatehouse_search_by_trigrams() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  operators text := (SELECT quote_ident(n.nspname) || '.gin_trgm_ops'
    FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace WHERE o.opcname = 'gin_trgm_ops' LIMIT 1);
BEGIN
  IF operators IS NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE INDEX IF NOT EXISTS identities_trigrams ON @.identities USING gin (upn_key %s)', operators);
  EXECUTE format('CREATE INDEX IF NOT EXISTS user_names_trigrams ON @.user_names USING gin (names %s)', operators);
  RETURN true;
END $$
$definition$
  ] LOOP
    EXECUTE replace(definition, '@', here);
  END LOOP;
  FOREACH definition IN ARRAY ARRAY['gatehouse_record_names()', 'gatehouse_search_by_trigrams()'] LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s.%s FROM PUBLIC', here, definition);
  END LOOP;
  EXECUTE format('ALTER FUNCTION %s.gatehouse_record_names() SECURITY DEFINER SET search_path = pg_catalog, pg_temp',
    here);
END $migration$;--> statement-breakpoint
INSERT INTO user_names (user_id, names)
  SELECT id, gatehouse_names(username_key, email, name, family_name) FROM users;--> statement-breakpoint
DO $migration$
BEGIN
  PERFORM gatehouse_search_by_trigrams();
EXCEPTION WHEN OTHERS THEN
  RAISE NOTICE 'Searches find the beginnings of names: pg_trgm cannot be used (%)', SQLERRM;
END $migration$;--> statement-breakpoint
CREATE TRIGGER gatehouse_names_in AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION gatehouse_record_names();--> statement-breakpoint
CREATE TRIGGER gatehouse_names AFTER UPDATE OF username_key, email, name, family_name ON users FOR EACH ROW WHEN ((OLD.username_key, OLD.email, OLD.name, OLD.family_name) IS DISTINCT FROM (NEW.username_key, NEW.email, NEW.name, NEW.family_name)) EXECUTE FUNCTION gatehouse_record_names();--> statement-breakpoint
INSERT INTO user_names AS n (user_id, names)
  SELECT u.id, gatehouse_names(u.username_key, u.email, u.name, u.family_name)
  FROM users u LEFT JOIN user_names k ON k.user_id = u.id
  WHERE k.user_id IS NULL OR k.names <> gatehouse_names(u.username_key, u.email, u.name, u.family_name)
  ON CONFLICT (user_id) DO UPDATE SET names = excluded.names;--> statement-breakpoint
DELETE FROM user_names n WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = n.user_id);--> statement-breakpoint
ALTER TABLE "user_names" ADD CONSTRAINT "user_names_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;
