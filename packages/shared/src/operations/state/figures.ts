import type { Amount, OpenLetters, RejectedKind, SeenProcess } from '../../db/index.ts'
import type { Check, Finding, Source } from '../../runtime/index.ts'
import type { Streaks } from './streaks.ts'

/** What is known now of the stores, and of what the processes have recorded. */
export type Figures = {
  readonly stores: {
    readonly postgres: 'up' | 'down' | 'not_migrated'
    readonly redis: 'up' | 'down' | 'not_configured'
  }
  readonly waiting: {
    /** Null while Postgres does not answer. */
    readonly inbox: Amount | null
    /** Jobs of Redis that have not ended; null without Redis, or while it does not answer. */
    readonly queue: number | null
    /** For how long the first of all these has waited, ms. */
    readonly oldestMs: number | null
    /** Where events may wait and nobody knows how many: the store does not answer. */
    readonly unknown: readonly ('inbox' | 'queue')[]
  }
  /** From Postgres; while it does not answer, as it was last read, or null. */
  readonly recorded: Recorded | null
}

export type Recorded = {
  readonly asOf: Date
  /** Those that this process knows. */
  readonly sources: readonly Source[]
  readonly flow: Flow
  /** An ingest had no store for its last event. */
  readonly isRefusing: boolean
  /** The kinds of events of which Postgres refuses every one, and the error of each. */
  readonly rejected: readonly RejectedKind[]
  /** Those that gave a sign of life within the last minutes, the newest first. */
  readonly workers: readonly KnownProcess[]
  readonly ingests: readonly KnownProcess[]
  /** Settings of processes that do not fit together. */
  readonly misfits: readonly Check[]
  /** Stores that may lose events, in the words of the checks of a process. */
  readonly unsafe: readonly string[]
  readonly deadLetters: OpenLetters
  readonly refusals: OpenRefusals
  /** The hour that `usualGapMs` is about. */
  readonly usualHour: Date
  /** How far events of each environment usually are apart in this hour of the week, ms; null if that is not known. */
  readonly usualGapMs: Readonly<Record<string, number | null>>
  /** How far they were apart at most. */
  readonly longestGapMs: Readonly<Record<string, number | null>>
  readonly streaks: Streaks
  /** What the checks of the processes say of which people are told. */
  readonly findings: readonly Finding[]
}

export type KnownProcess = SeenProcess & {
  /** Of its silence what counts: not the time in which Postgres was away, ms. */
  readonly missedMs: number
}

/** What the processes have counted. */
export type Flow = {
  /** The last 60 minutes, the present one last. */
  readonly perMinute: readonly MinuteFigures[]
  readonly lastHour: {
    readonly accepted: number
    readonly landed: number
    readonly duplicates: number
    /** By the outcomes of `sluice_answers_total`, without those that are 0. */
    readonly refused: Readonly<Record<string, number>>
  }
  /** The time from receipt to landed in the last ten minutes; null if nothing landed. */
  readonly processing: Processing | null
  /** The last accepted event of each source and each other environment; null if there was none in 35 days. */
  readonly lastEvents: Readonly<Record<string, Date | null>>
}

type MinuteFigures = {
  readonly minute: Date
  readonly accepted: number
  readonly landed: number
  /** Answered 429, 500 or 503: IDWise sends these again. */
  readonly refused: number
}

/** So many percent took no longer than this, ms; null if they took longer than 5 minutes. */
export type Processing = {
  readonly p50Ms: number | null
  readonly p95Ms: number | null
  readonly p99Ms: number | null
}

/** The events that were answered 503 and have not come again. */
export type OpenRefusals = RefusalFigures & {
  /** The same of each environment that has some. */
  readonly byEnvironment: Readonly<Record<string, RefusalFigures>>
}

export type RefusalFigures = {
  /** Those that IDWise still tries. */
  readonly awaited: number
  readonly nextTryAt: Date | null
  /** When IDWise gives up on the first of them. */
  readonly givesUpAt: Date | null
  /** Those of the last day on which IDWise has given up. */
  readonly lost: number
}
