-- While a replica of this release is alive it notifies those of release 0.2, whether notifications reach it or not: a
-- commit that notifies waits for every other one. A database without notifications has no replica of release 0.2.
DO $migration$
DECLARE
  here text := quote_ident(current_schema());
BEGIN
  EXECUTE replace($definition$
CREATE OR REPLACE FUNCTION @.gatehouse_notify_previous_release() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM @.replicas WHERE heartbeat_at
    BETWEEN clock_timestamp() - interval '3 seconds' AND clock_timestamp() + interval '3 seconds')
  THEN
    BEGIN
      PERFORM pg_notify('gatehouse', '*'), pg_notify('gatehouse', 'k');
    EXCEPTION WHEN feature_not_supported OR undefined_function THEN
      NULL;
    END;
  END IF;
END $$
$definition$, '@', here);
  EXECUTE format('ALTER FUNCTION %s.gatehouse_notify_previous_release() SECURITY DEFINER SET search_path = pg_catalog, pg_temp', here);
END $migration$;
