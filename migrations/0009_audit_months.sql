-- The record by months: a month that is past its retention is dropped, not deleted row by row (src/store/audit-months.ts).
-- The table of before becomes the partition of everything until the end of this month, rows and indexes as they are; the
-- version before inserts, lists and deletes in the new table as in the old one.
LOCK TABLE "audit_events" IN ACCESS EXCLUSIVE MODE;--> statement-breakpoint
ALTER TABLE "audit_events" RENAME TO "audit_events_before";--> statement-breakpoint
ALTER TABLE "audit_events_before" RENAME CONSTRAINT "audit_events_pkey" TO "audit_events_before_pkey";--> statement-breakpoint
ALTER INDEX "audit_events_time" RENAME TO "audit_events_before_time";--> statement-breakpoint
ALTER INDEX "audit_events_person" RENAME TO "audit_events_before_person";--> statement-breakpoint
ALTER INDEX "audit_events_action" RENAME TO "audit_events_before_action";--> statement-breakpoint
CREATE TABLE "audit_events" (LIKE "audit_events_before" INCLUDING DEFAULTS) PARTITION BY RANGE ("at");--> statement-breakpoint
CREATE INDEX "audit_events_id" ON "audit_events" USING btree ("id");--> statement-breakpoint
CREATE INDEX "audit_events_time" ON "audit_events" USING btree ("at","id");--> statement-breakpoint
CREATE INDEX "audit_events_person" ON "audit_events" USING btree ("user_id","at","id");--> statement-breakpoint
CREATE INDEX "audit_events_action" ON "audit_events" USING btree ("action","at","id");--> statement-breakpoint
CREATE TABLE "audit_events_default" PARTITION OF "audit_events" DEFAULT;--> statement-breakpoint
-- until the end of this month, or of the month of a row that a clock ahead of its time has left
DO $$
DECLARE
  latest timestamptz := greatest(now(), (SELECT max("at") FROM audit_events_before));
  role record;
BEGIN
  EXECUTE format('ALTER TABLE audit_events ATTACH PARTITION audit_events_before FOR VALUES FROM (MINVALUE) TO (%L)',
    (date_trunc('month', latest AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');
  FOR role IN
    SELECT acl.privilege_type, acl.is_grantable, CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END AS name
    FROM pg_class, aclexplode(relacl) acl WHERE oid = 'audit_events_before'::regclass AND acl.grantee <> relowner
  LOOP
    EXECUTE format('GRANT %s ON audit_events TO %s %s', role.privilege_type, role.name,
      CASE WHEN role.is_grantable THEN 'WITH GRANT OPTION' ELSE '' END);
  END LOOP;
  EXECUTE format('ALTER TABLE audit_events OWNER TO %s',
    (SELECT relowner::regrole FROM pg_class WHERE oid = 'audit_events_before'::regclass));
  EXECUTE format('ALTER TABLE audit_events_default OWNER TO %s',
    (SELECT relowner::regrole FROM pg_class WHERE oid = 'audit_events_before'::regclass));
END $$;--> statement-breakpoint
ALTER SEQUENCE "audit_events_id_seq" OWNED BY "audit_events"."id";
