-- Memberships that were assigned by hand may have an end (src/store/live-membership.ts). A trigger records where an
-- update moves it, so that every replica reads the user again. An end that comes sooner is recorded as
-- a loss: where PostgreSQL loses this part of its history, the membership is taken away altogether.
ALTER TABLE "user_groups" ADD COLUMN "until" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "user_groups_until" ON "user_groups" USING btree ("until","group_id") WHERE "user_groups"."until" is not null;--> statement-breakpoint
DO $migration$
DECLARE
  here text := quote_ident(current_schema());
BEGIN
  EXECUTE replace($definition$
-- The plan is kept from the first call, which usually changes one row: a nested loop would take hours for a million.
CREATE FUNCTION @.gatehouse_record_membership_ends() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
  sooner text[]; later text[];
BEGIN
  SELECT array_agg(concat_ws('/', user_id, group_id)) FILTER (WHERE now_ends < ended),
    array_agg(concat_ws('/', user_id, group_id)) FILTER (WHERE now_ends > ended)
  INTO sooner, later
  FROM (SELECT user_id, group_id,
      CASE WHEN a.cause IS NULL THEN coalesce(a.until, 'infinity') ELSE 'infinity' END AS now_ends,
      CASE WHEN b.cause IS NULL THEN coalesce(b.until, 'infinity') ELSE 'infinity' END AS ended
    FROM after a JOIN before b USING (user_id, group_id)) AS ends;
  IF sooner IS NOT NULL THEN PERFORM @.gatehouse_record('group.lost', sooner); END IF;
  IF later IS NOT NULL THEN PERFORM @.gatehouse_record('group.given', later); END IF;
  RETURN NULL;
END $$
$definition$, '@', here);
  EXECUTE format('ALTER FUNCTION %s.gatehouse_record_membership_ends() SECURITY DEFINER SET search_path = pg_catalog, pg_temp', here);
  EXECUTE format('REVOKE ALL ON FUNCTION %s.gatehouse_record_membership_ends() FROM PUBLIC', here);
END $migration$;--> statement-breakpoint
CREATE TRIGGER gatehouse_changed_ends AFTER UPDATE ON user_groups REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_membership_ends();
