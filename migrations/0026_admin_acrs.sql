-- The authentication context that the last fresh sign-in to the console asked for and got (core/step-up.ts).
ALTER TABLE "admin_sessions" ADD COLUMN "acrs" text;