CREATE TABLE "long_returns" (
	"flow_hash" "bytea" PRIMARY KEY NOT NULL,
	"address" text NOT NULL,
	"kept_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE INDEX "long_returns_kept" ON "long_returns" USING btree ("kept_at");