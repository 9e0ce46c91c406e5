-- Trials of a policy before it is deployed (src/core/policy-version.ts): every replica is told, and writes its answer.
CREATE TABLE "policy_trial_answers" (
	"trial" text NOT NULL,
	"replica" text NOT NULL,
	"refusal" text,
	CONSTRAINT "policy_trial_answers_trial_replica_pk" PRIMARY KEY("trial","replica")
);
--> statement-breakpoint
CREATE TABLE "policy_trials" (
	"id" text PRIMARY KEY NOT NULL,
	"text" text NOT NULL,
	"at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "policy_trial_answers" ADD CONSTRAINT "policy_trial_answers_trial_policy_trials_id_fk" FOREIGN KEY ("trial") REFERENCES "public"."policy_trials"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE TRIGGER gatehouse_changed AFTER INSERT ON "policy_trials"
  FOR EACH STATEMENT EXECUTE FUNCTION gatehouse_record_table('policy.changed');
