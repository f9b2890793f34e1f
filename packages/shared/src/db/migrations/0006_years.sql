-- `sluice migrate` prepares a table with rows before this, while events go on landing (see upgrade-events.ts). It then
-- says up to when all events have their keys, and where the old table ends; without both, all is done here.
CREATE TABLE IF NOT EXISTS "event_keys" (
	"key" uuid PRIMARY KEY NOT NULL,
	"landed_at" timestamp with time zone NOT NULL,
	"n" smallint,
	"body" "bytea" NOT NULL
);
--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "event_keys_by_time" ON "event_keys" USING brin ("landed_at");--> statement-breakpoint
CREATE TABLE "retention" (
	"id" boolean PRIMARY KEY DEFAULT true NOT NULL CHECK (id),
	"dropped_before" timestamp with time zone,
	"keys_before" timestamp with time zone,
	"announced" jsonb,
	"announced_at" timestamp with time zone,
	"accepted" jsonb,
	"accepted_at" timestamp with time zone,
	"accepted_by" text
);
--> statement-breakpoint
INSERT INTO "retention" DEFAULT VALUES;--> statement-breakpoint
CREATE TABLE "installation" (
	"id" boolean PRIMARY KEY DEFAULT true NOT NULL CHECK (id),
	"secret" "bytea" NOT NULL,
	"last_receipt" "bytea"
);
--> statement-breakpoint
-- `gen_random_uuid` is Postgres' own strong random source; two of them have 244 random bits.
INSERT INTO "installation" (secret) VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));--> statement-breakpoint
CREATE TABLE "erasures" (
	"n" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "erasures_n_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"kind" text NOT NULL,
	"subjects" "bytea"[] NOT NULL,
	"actor" text NOT NULL,
	"reason" text,
	"requested_at" timestamp with time zone DEFAULT now() NOT NULL,
	"erased_at" timestamp with time zone,
	"purged_at" timestamp with time zone,
	"progress" jsonb DEFAULT '{"counts":{},"tombstones":0,"tables":[]}'::jsonb NOT NULL,
	"receipt" jsonb,
	"late" integer DEFAULT 0 NOT NULL,
	"last_late_at" timestamp with time zone
);
--> statement-breakpoint
CREATE SEQUENCE "public"."erasures_requested" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1;--> statement-breakpoint
CREATE TABLE "lost_journeys" (
	"environment" text NOT NULL,
	"journey_id" text NOT NULL,
	CONSTRAINT "lost_journeys_environment_journey_id_pk" PRIMARY KEY("environment","journey_id")
);
--> statement-breakpoint
CREATE FUNCTION "sluice_note_lost_journeys"() RETURNS trigger LANGUAGE plpgsql AS $$
begin
	if coalesce(current_setting('sluice.erasing', true), '') <> 'on' then
		insert into lost_journeys select environment, journey_id from gone on conflict do nothing;
	end if;
	return null;
end $$;
--> statement-breakpoint
CREATE TRIGGER "journeys_note_lost" AFTER DELETE ON "journeys" REFERENCING OLD TABLE AS gone
	FOR EACH STATEMENT EXECUTE FUNCTION "sluice_note_lost_journeys"();--> statement-breakpoint
ALTER TABLE "journeys" ADD COLUMN "base" jsonb;--> statement-breakpoint
ALTER TABLE "journeys" ADD COLUMN "base_until" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "journeys" RENAME COLUMN "told" TO "digest";--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "journeys_by_reference_prefix" ON "journeys" USING btree ("reference_no" text_pattern_ops) WHERE reference_no is not null;--> statement-breakpoint
DROP INDEX "journeys_by_reference";--> statement-breakpoint
ALTER INDEX "journeys_by_reference_prefix" RENAME TO "journeys_by_reference";--> statement-breakpoint
ALTER TABLE "dead_letters" RENAME COLUMN "arrival" TO "delivery_id";--> statement-breakpoint
LOCK TABLE "events" IN ACCESS EXCLUSIVE MODE;--> statement-breakpoint
ALTER TABLE "events" ADD COLUMN IF NOT EXISTS "n" smallint DEFAULT 0 NOT NULL;--> statement-breakpoint
INSERT INTO "event_keys" (key, landed_at, n, body)
SELECT encode(substring(event_key for 16), 'hex')::uuid, processed_at, n, substring(body_sha256 for 8) FROM "events"
WHERE processed_at >= coalesce(nullif(current_setting('sluice.keys_until', true), ''), '-infinity')::timestamptz
ON CONFLICT DO NOTHING;--> statement-breakpoint
COMMENT ON TABLE "event_keys" IS NULL;--> statement-breakpoint
ALTER TABLE "events" RENAME COLUMN "arrival" TO "delivery_id";--> statement-breakpoint
ALTER TABLE "events" RENAME TO "events_before";--> statement-breakpoint
-- Only their keys and ids were unique; that is for event_keys now.
ALTER TABLE "events_before" DROP CONSTRAINT "events_pkey";--> statement-breakpoint
DROP INDEX "events_by_event_id";--> statement-breakpoint
DROP INDEX "events_by_reference";--> statement-breakpoint
ALTER INDEX "events_by_journey" RENAME TO "events_before_by_journey";--> statement-breakpoint
ALTER INDEX "events_anonymous" RENAME TO "events_before_anonymous";--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "events_before_by_time" ON "events_before" USING btree ("processed_at","n");--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "events_before_by_reference" ON "events_before" USING btree ("reference_no" text_pattern_ops) WHERE reference_no is not null and journey_id is null;--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "events_before_unrecognised" ON "events_before" USING btree ("event_id") WHERE kind = 'unrecognised';--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "events_before_unrecognised_by_time" ON "events_before" USING btree ("processed_at") WHERE kind = 'unrecognised';--> statement-breakpoint
CREATE TABLE "events" (LIKE "events_before" INCLUDING DEFAULTS) PARTITION BY RANGE ("processed_at");--> statement-breakpoint
-- The old table becomes the first partition, unless it is empty. Its check on `processed_at`, if it has one, spares Postgres to read it.
DO $$
begin
	if exists (select from events_before limit 1) then
		execute format('alter table events attach partition events_before for values from (minvalue) to (%L)', coalesce(
			nullif(current_setting('sluice.events_before', true), '')::timestamptz,
			date_trunc('month', now() at time zone 'UTC' + interval '1 month') at time zone 'UTC'));
		alter table events_before drop constraint if exists events_before_bound;
	else
		drop table events_before;
	end if;
end $$;
--> statement-breakpoint
CREATE INDEX "events_by_time" ON "events" USING btree ("processed_at","n");--> statement-breakpoint
CREATE INDEX "events_by_journey" ON "events" USING btree ("journey_id") WHERE journey_id is not null;--> statement-breakpoint
CREATE INDEX "events_by_reference" ON "events" USING btree ("reference_no" text_pattern_ops) WHERE reference_no is not null and journey_id is null;--> statement-breakpoint
CREATE INDEX "events_anonymous" ON "events" USING btree ("body_sha256","received_at") WHERE event_id is null;--> statement-breakpoint
CREATE INDEX "events_unrecognised" ON "events" USING btree ("event_id") WHERE kind = 'unrecognised';--> statement-breakpoint
CREATE INDEX "events_unrecognised_by_time" ON "events" USING btree ("processed_at") WHERE kind = 'unrecognised';
