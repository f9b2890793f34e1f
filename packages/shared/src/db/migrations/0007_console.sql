CREATE TABLE "minutes" (
	"minute" timestamp with time zone NOT NULL,
	"process" text NOT NULL,
	"role" text NOT NULL,
	"counters" jsonb NOT NULL,
	CONSTRAINT "minutes_minute_process_pk" PRIMARY KEY("minute","process")
);
--> statement-breakpoint
CREATE TABLE "operations" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "operations_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"kind" text NOT NULL,
	"filter" jsonb NOT NULL,
	"words" text NOT NULL,
	"fingerprints" text[] NOT NULL,
	"max_id" bigint NOT NULL,
	"expected" integer NOT NULL,
	"sample" integer,
	"rate" integer,
	"stop_after" integer,
	"reason" text NOT NULL,
	"actor" text NOT NULL,
	"state" text NOT NULL,
	"last_id" bigint DEFAULT 0 NOT NULL,
	"taken" integer DEFAULT 0 NOT NULL,
	"skipped" integer DEFAULT 0 NOT NULL,
	"landed" integer DEFAULT 0 NOT NULL,
	"failed" integer DEFAULT 0 NOT NULL,
	"counted_at" timestamp with time zone DEFAULT now() NOT NULL,
	"due_at" timestamp with time zone DEFAULT now() NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "refusals" (
	"event_key" "bytea" PRIMARY KEY NOT NULL,
	"environment" text NOT NULL,
	"event" text,
	"event_id" text,
	"journey_id" text,
	"reference_no" text,
	"first_refused_at" timestamp with time zone NOT NULL,
	"last_refused_at" timestamp with time zone NOT NULL,
	"deliveries" integer NOT NULL,
	"made_up_at" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "dead_letters" ADD COLUMN "operation_id" bigint;--> statement-breakpoint
ALTER TABLE "operator_actions" ADD COLUMN "operation_id" bigint;--> statement-breakpoint
CREATE INDEX "operations_under_way" ON "operations" USING btree ("id") WHERE ended_at is null;--> statement-breakpoint
CREATE INDEX "refusals_by_time" ON "refusals" USING btree ("last_refused_at");--> statement-breakpoint
CREATE INDEX "refusals_open" ON "refusals" USING btree ("last_refused_at") WHERE made_up_at is null;--> statement-breakpoint
CREATE INDEX "dead_letters_by_group" ON "dead_letters" USING btree ("state","fingerprint","journey_id","environment","id","first_failed_at","last_failed_at");--> statement-breakpoint
CREATE INDEX "dead_letters_newest" ON "dead_letters" USING btree ("state","fingerprint","last_failed_at");--> statement-breakpoint
CREATE INDEX "dead_letters_by_operation" ON "dead_letters" USING btree ("operation_id","state") WHERE operation_id is not null;--> statement-breakpoint
CREATE INDEX "operator_actions_by_target" ON "operator_actions" USING btree ("target","id");--> statement-breakpoint
CREATE INDEX "operator_actions_of_persons" ON "operator_actions" USING btree ("id") WHERE operation_id is null;