CREATE TABLE "replicas" (
	"replica" text PRIMARY KEY NOT NULL,
	"beats" bigint NOT NULL,
	"beat_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
