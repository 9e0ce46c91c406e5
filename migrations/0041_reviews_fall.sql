-- A review falls for good when its right changes (src/store/access-reviews.ts). A sign-in that changes a right needs no
-- rights on access_reviews for it, and statements of other programs are noticed too.
DO $migration$
DECLARE
  here text := quote_ident(current_schema());
  definition text;
BEGIN
  FOREACH definition IN ARRAY ARRAY[
$definition$
CREATE FUNCTION @.gatehouse_reason(cause jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN cause IS NULL THEN 'by hand' ELSE coalesce(
    (SELECT string_agg(DISTINCT lower(c ->> 'entraGroup'), ' ') FROM jsonb_array_elements(cause) c), '') END
$$
$definition$,
$definition$
CREATE FUNCTION @.gatehouse_membership_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF (@.gatehouse_reason(OLD.cause), OLD.since, CASE WHEN OLD.cause IS NULL THEN nullif(OLD.until, 'infinity') END)
      IS NOT DISTINCT FROM
      (@.gatehouse_reason(NEW.cause), NEW.since, CASE WHEN NEW.cause IS NULL THEN nullif(NEW.until, 'infinity') END)
    THEN
      RETURN NULL;
    END IF;
  END IF;
  DELETE FROM @.access_reviews WHERE user_id = OLD.user_id AND right_id = OLD.group_id::text;
  RETURN NULL;
END $$
$definition$,
$definition$
CREATE FUNCTION @.gatehouse_flags_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.is_superuser, OLD.superuser_since, @.gatehouse_reason(OLD.superuser_cause))
    IS DISTINCT FROM (NEW.is_superuser, NEW.superuser_since, @.gatehouse_reason(NEW.superuser_cause)) THEN
    DELETE FROM @.access_reviews WHERE user_id = OLD.id AND right_id = 'superuser';
  END IF;
  IF (OLD.is_staff, OLD.staff_since, @.gatehouse_reason(OLD.staff_cause))
    IS DISTINCT FROM (NEW.is_staff, NEW.staff_since, @.gatehouse_reason(NEW.staff_cause)) THEN
    DELETE FROM @.access_reviews WHERE user_id = OLD.id AND right_id = 'staff';
  END IF;
  RETURN NULL;
END $$
$definition$
  ] LOOP
    EXECUTE replace(definition, '@', here);
  END LOOP;
  FOREACH definition IN ARRAY ARRAY['gatehouse_membership_changed()', 'gatehouse_flags_changed()'] LOOP
    EXECUTE format('ALTER FUNCTION %s.%s SECURITY DEFINER SET search_path = pg_catalog, pg_temp', here, definition);
    EXECUTE format('REVOKE ALL ON FUNCTION %s.%s FROM PUBLIC', here, definition);
  END LOOP;
  EXECUTE format('REVOKE ALL ON FUNCTION %s.gatehouse_reason(jsonb) FROM PUBLIC', here);
END $migration$;--> statement-breakpoint
CREATE TRIGGER gatehouse_reviews_out AFTER DELETE ON user_groups FOR EACH ROW EXECUTE FUNCTION gatehouse_membership_changed();--> statement-breakpoint
CREATE TRIGGER gatehouse_reviews AFTER UPDATE ON user_groups FOR EACH ROW WHEN ((OLD.cause, OLD.since, OLD.until) IS DISTINCT FROM (NEW.cause, NEW.since, NEW.until)) EXECUTE FUNCTION gatehouse_membership_changed();--> statement-breakpoint
CREATE TRIGGER gatehouse_reviews AFTER UPDATE ON users FOR EACH ROW WHEN ((OLD.is_superuser, OLD.superuser_since, OLD.superuser_cause, OLD.is_staff, OLD.staff_since, OLD.staff_cause) IS DISTINCT FROM (NEW.is_superuser, NEW.superuser_since, NEW.superuser_cause, NEW.is_staff, NEW.staff_since, NEW.staff_cause)) EXECUTE FUNCTION gatehouse_flags_changed();
