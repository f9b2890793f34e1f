CREATE TABLE "former_references" (
	"environment" text NOT NULL,
	"journey_id" text NOT NULL,
	"reference_no" text NOT NULL,
	CONSTRAINT "former_references_environment_journey_id_reference_no_pk" PRIMARY KEY("environment","journey_id","reference_no")
);
--> statement-breakpoint
CREATE INDEX "former_references_by_reference" ON "former_references" USING btree ("reference_no" text_pattern_ops);--> statement-breakpoint
CREATE INDEX "dead_letters_by_reference_prefix" ON "dead_letters" USING btree ("reference_no" text_pattern_ops);--> statement-breakpoint
-- Last: from here on, readers wait until the migration is committed.
DROP INDEX "dead_letters_by_reference";
