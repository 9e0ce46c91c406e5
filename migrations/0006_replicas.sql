CREATE TABLE "replicas" (
	"replica" text PRIMARY KEY NOT NULL,
	"heartbeats" bigint NOT NULL,
	"heartbeat_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
