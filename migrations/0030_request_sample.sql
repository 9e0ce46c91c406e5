CREATE TABLE "sampled_requests" (
	"key" text NOT NULL,
	"hour" timestamp with time zone NOT NULL,
	"replica" uuid NOT NULL,
	"user_id" uuid,
	"host" text NOT NULL,
	"method" text NOT NULL,
	"path" text NOT NULL,
	"is_cut" boolean NOT NULL,
	"rule" text NOT NULL,
	"count" integer NOT NULL,
	CONSTRAINT "sampled_requests_key_hour_replica_pk" PRIMARY KEY("key","hour","replica")
);
--> statement-breakpoint
ALTER TABLE "sampled_requests" ADD CONSTRAINT "sampled_requests_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "sampled_requests_hour" ON "sampled_requests" USING btree ("hour");--> statement-breakpoint
CREATE INDEX "sampled_requests_user" ON "sampled_requests" USING btree ("user_id");