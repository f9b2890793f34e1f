CREATE TABLE "inbox_claims" (
	"worker" text PRIMARY KEY NOT NULL,
	"job_ids" text[] NOT NULL,
	"claimed_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "journeys" (
	"environment" text NOT NULL,
	"journey_id" text NOT NULL,
	"reference_no" text,
	"stage" text NOT NULL,
	"system_decision" text,
	"manual_decision" text,
	"final_decision" text,
	"aml_version" bigint,
	"resubmission" text,
	"renewal" text,
	"events" integer NOT NULL,
	"first_event_at" timestamp with time zone NOT NULL,
	"last_event_at" timestamp with time zone NOT NULL,
	"needs_attention" text,
	CONSTRAINT "journeys_environment_journey_id_pk" PRIMARY KEY("environment","journey_id")
);
--> statement-breakpoint
ALTER TABLE "inbox" ADD COLUMN "crashes" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX "journeys_by_reference" ON "journeys" USING btree ("reference_no") WHERE reference_no is not null;--> statement-breakpoint
CREATE INDEX "journeys_needing_attention" ON "journeys" USING btree ("environment","journey_id") WHERE needs_attention is not null;--> statement-breakpoint
CREATE INDEX "dead_letters_conflicts" ON "dead_letters" USING btree ("event_key") WHERE reason = 'conflict' and state in ('open', 'replaying');--> statement-breakpoint
CREATE INDEX "dead_letters_anonymous" ON "dead_letters" USING btree (sha256(raw)) WHERE event_id is null;