-- The partitions are made and dropped by the replicas (src/store/activity-days.ts).
CREATE TABLE "activity_counts" (
	"hour" timestamp with time zone NOT NULL,
	"kind" text NOT NULL,
	"key" text NOT NULL,
	"replica" uuid NOT NULL,
	"count" bigint NOT NULL,
	"minutes" integer[] NOT NULL,
	CONSTRAINT "activity_counts_kind_hour_key_replica_pk" PRIMARY KEY("kind","hour","key","replica")
) PARTITION BY RANGE ("hour");
