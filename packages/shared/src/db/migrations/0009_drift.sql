CREATE TABLE "drift_looks" (
	"id" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"processed_at" timestamp with time zone NOT NULL,
	"n" smallint NOT NULL,
	"looked_at" timestamp with time zone NOT NULL,
	"counts" jsonb NOT NULL,
	"counted_since" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "drifts" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "drifts_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"environment" text NOT NULL,
	"kind" text NOT NULL,
	"path" text NOT NULL,
	"value" text NOT NULL,
	"events" text[] NOT NULL,
	"first_seen_at" timestamp with time zone NOT NULL,
	"last_seen_at" timestamp with time zone NOT NULL,
	"count" bigint NOT NULL,
	"share" real,
	"sample" "bytea" NOT NULL,
	"acknowledged_by" text,
	"acknowledged_at" timestamp with time zone
);
--> statement-breakpoint
CREATE UNIQUE INDEX "drifts_by_name" ON "drifts" USING btree ("environment","kind","path","value");