CREATE TABLE "dead_letters" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "dead_letters_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"job_id" text NOT NULL,
	"event_key" "bytea",
	"environment" text,
	"event" text,
	"event_id" text,
	"journey_id" text,
	"reference_no" text,
	"reason" text NOT NULL,
	"error_class" text NOT NULL,
	"error_message" text NOT NULL,
	"fingerprint" text NOT NULL,
	"attempts" integer NOT NULL,
	"raw" "bytea" NOT NULL,
	"envelope" text NOT NULL,
	"arrival" text,
	"received_at" timestamp with time zone,
	"first_failed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_failed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"state" text DEFAULT 'open' NOT NULL,
	"replays" integer DEFAULT 0 NOT NULL,
	CONSTRAINT "dead_letters_job_id_unique" UNIQUE("job_id")
);
--> statement-breakpoint
CREATE TABLE "events" (
	"event_key" "bytea" PRIMARY KEY NOT NULL,
	"environment" text NOT NULL,
	"event" text,
	"kind" text NOT NULL,
	"event_id" text,
	"journey_id" text,
	"reference_no" text,
	"system_decision" text,
	"manual_decision" text,
	"final_decision" text,
	"details" jsonb,
	"body" jsonb,
	"raw" "bytea" NOT NULL,
	"body_sha256" "bytea" NOT NULL,
	"request" jsonb,
	"arrival" text NOT NULL,
	"received_at" timestamp with time zone NOT NULL,
	"processed_at" timestamp with time zone DEFAULT now() NOT NULL,
	"duplicates" integer DEFAULT 0 NOT NULL,
	"via" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "inbox" (
	"job_id" text PRIMARY KEY NOT NULL,
	"envelope" text NOT NULL,
	"duplicates" integer DEFAULT 0 NOT NULL,
	"replay_of" bigint,
	"attempts" integer DEFAULT 0 NOT NULL,
	"available_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_error" text
);
--> statement-breakpoint
CREATE TABLE "operator_actions" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "operator_actions_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"target" text NOT NULL,
	"reason" text
);
--> statement-breakpoint
CREATE INDEX "dead_letters_by_state" ON "dead_letters" USING btree ("state","id");--> statement-breakpoint
CREATE INDEX "dead_letters_by_event_key" ON "dead_letters" USING btree ("event_key");--> statement-breakpoint
CREATE INDEX "dead_letters_by_journey" ON "dead_letters" USING btree ("journey_id");--> statement-breakpoint
CREATE INDEX "dead_letters_by_reference" ON "dead_letters" USING btree ("reference_no");--> statement-breakpoint
CREATE INDEX "dead_letters_by_event_id" ON "dead_letters" USING btree ("event_id");--> statement-breakpoint
CREATE INDEX "events_by_event_id" ON "events" USING btree ("event_id") WHERE event_id is not null;--> statement-breakpoint
CREATE INDEX "events_by_journey" ON "events" USING btree ("journey_id") WHERE journey_id is not null;--> statement-breakpoint
CREATE INDEX "events_by_reference" ON "events" USING btree ("reference_no") WHERE reference_no is not null;--> statement-breakpoint
CREATE INDEX "events_anonymous" ON "events" USING btree ("body_sha256","received_at") WHERE event_id is null;--> statement-breakpoint
CREATE INDEX "inbox_by_available_at" ON "inbox" USING btree ("available_at");--> statement-breakpoint
-- A queue table lives in its dead rows: vacuum it early, whatever its size.
ALTER TABLE "inbox" SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
