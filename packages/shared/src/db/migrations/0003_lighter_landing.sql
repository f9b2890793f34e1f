DROP INDEX "events_by_reference";--> statement-breakpoint
CREATE INDEX "events_by_reference" ON "events" USING btree ("reference_no") WHERE reference_no is not null and journey_id is null;--> statement-breakpoint
-- Room on each page for the next versions of its rows: with it a change need not touch the indexes.
ALTER TABLE "journeys" SET (fillfactor = 50);
