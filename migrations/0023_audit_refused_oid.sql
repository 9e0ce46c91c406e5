-- For the removal of a user's account from the record of refused sign-ins; only an index.
CREATE INDEX IF NOT EXISTS "audit_events_refused_oid" ON "audit_events" USING btree (("detail" ->> 'oid')) WHERE "audit_events"."user_id" is null and "audit_events"."detail" ->> 'oid' is not null;
