-- For the filters of the lists of users and sessions in the admin console; only indexes. In the order in which a sign-in
-- writes the tables, so that neither waits for the other for ever; an index that was created beforehand
-- (docs/deployment.md, "Large databases") stays as it is.
CREATE INDEX IF NOT EXISTS "users_inactive" ON "users" USING btree ("username") WHERE not "users"."is_active";--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "users_signed_in" ON "users" USING btree (coalesce("last_login_at", "created_at"));--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "identities_guest" ON "identities" USING btree ("user_id") WHERE "identities"."guest";--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "user_groups_by_hand" ON "user_groups" USING btree ("user_id") WHERE "user_groups"."cause" is null;--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "sessions_browser" ON "sessions" USING btree ("browser","created_at","public_id") WHERE "sessions"."browser" is not null;--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "sessions_address" ON "sessions" USING btree ("client_address","created_at","public_id") WHERE "sessions"."client_address" is not null;--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "sessions_host" ON "sessions" USING btree ("last_host","created_at","public_id") WHERE "sessions"."last_host" is not null;
