-- Rows of the audit that release 0.2.0 has written do not say who had a flag before: since when all of them do.
ALTER TABLE "outbox" ADD COLUMN "flags_recorded_since" timestamp with time zone;--> statement-breakpoint
UPDATE "outbox" SET "flags_recorded_since" = now() WHERE EXISTS (SELECT FROM "audit_events");
