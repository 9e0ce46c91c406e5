CREATE TABLE "access_reviews" (
	"user_id" uuid NOT NULL,
	"right_id" text NOT NULL,
	"basis" text NOT NULL,
	"verdict" text NOT NULL,
	"reviewer_id" uuid NOT NULL,
	"note" text,
	"at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "access_reviews_user_id_right_id_pk" PRIMARY KEY("user_id","right_id")
);
--> statement-breakpoint
ALTER TABLE "access_reviews" ADD CONSTRAINT "access_reviews_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "access_reviews_right" ON "access_reviews" USING btree ("right_id");--> statement-breakpoint
CREATE INDEX "access_reviews_verdict" ON "access_reviews" USING btree ("verdict","user_id");