ALTER TABLE "identities" ADD COLUMN "upn" text;--> statement-breakpoint
ALTER TABLE "identities" ADD COLUMN "upn_key" text;--> statement-breakpoint
ALTER TABLE "identities" ADD COLUMN "upn_seen_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "retired_usernames" ADD COLUMN "released_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "retired_usernames" ADD COLUMN "holder_id" uuid;--> statement-breakpoint
ALTER TABLE "retired_usernames" ADD CONSTRAINT "retired_usernames_holder_id_users_id_fk" FOREIGN KEY ("holder_id") REFERENCES "public"."users"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "identities_upn" ON "identities" USING btree ("upn_key");--> statement-breakpoint
CREATE INDEX "retired_usernames_holder" ON "retired_usernames" USING btree ("holder_id");