CREATE TABLE "outbox" (
	"swept" "pg_snapshot" DEFAULT pg_current_snapshot() NOT NULL
);
--> statement-breakpoint
INSERT INTO "outbox" DEFAULT VALUES;
