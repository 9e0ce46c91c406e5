-- For lists and searches of any length. In the order in which a sign-in writes the tables, so that neither waits for the
-- other for ever; an index that was created beforehand (docs/deployment.md, "Large databases") stays as it is.
CREATE INDEX IF NOT EXISTS "users_username" ON "users" USING btree ("username");--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "users_staff" ON "users" USING btree ("username") WHERE "users"."is_staff";--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "users_superuser" ON "users" USING btree ("username") WHERE "users"."is_superuser";--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "users_search_username" ON "users" USING btree (("username_key") collate "C","id");--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "users_search_email" ON "users" USING btree ((lower("email")) collate "C","id");--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "users_search_name" ON "users" USING btree ((lower("name")) collate "C","id");--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "users_search_family_name" ON "users" USING btree ((lower("family_name")) collate "C","id");--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "identities_oid" ON "identities" USING btree ("oid");--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "identities_search_upn" ON "identities" USING btree (("upn_key") collate "C","user_id");--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "audit_events_time" ON "audit_events" USING btree ("at","id");--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "audit_events_person" ON "audit_events" USING btree ("user_id","at","id");--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "audit_events_action" ON "audit_events" USING btree ("action","at","id");--> statement-breakpoint
DROP INDEX IF EXISTS "audit_events_at";--> statement-breakpoint
DROP INDEX IF EXISTS "audit_events_user";
