/** A row of `events`. Hashes are hex; `body_sha256` is that of `raw`, `stored_sha256` the column beside it. */
export type EventRow = {
  readonly environment: string
  readonly event: string | null
  readonly kind: string
  readonly event_id: string | null
  readonly journey_id: string | null
  readonly reference_no: string | null
  readonly system_decision: string | null
  readonly manual_decision: string | null
  readonly final_decision: string | null
  readonly body: unknown
  readonly body_sha256: string
  readonly stored_sha256: string
  readonly duplicates: number
  readonly received_at: Date
}

/** A row of `dead_letters`; `body_sha256` is the SHA-256 of its `raw`, hex. */
export type DeadLetterRow = {
  readonly environment: string
  readonly event_id: string | null
  readonly journey_id: string | null
  readonly reason: string
  readonly state: string
  readonly body_sha256: string
}

/** A row of `journeys`. */
export type JourneyRow = {
  readonly environment: string
  readonly journey_id: string
  readonly reference_no: string | null
  readonly stage: string | null
  readonly system_decision: string | null
  readonly manual_decision: string | null
  readonly final_decision: string | null
  readonly aml_version: number | null
  readonly resubmission: string | null
  readonly renewal: string | null
  readonly events: number
  readonly first_event_at: Date
  readonly last_event_at: Date
  readonly needs_attention: string | null
}

export type Rows<T> = Iterable<T> | AsyncIterable<T>

export type Report = {
  /**
   * Nothing that was acknowledged is missing, dead or altered, nobody else has written during the run, and the ledger is
   * whole and as it was written.
   */
  readonly ok: boolean
  readonly requests: number
  /** Different events that were sent. */
  readonly sent: number
  readonly acknowledged: number
  readonly landed: number
  /** Acknowledged, and neither in `events` nor in `dead_letters`. */
  readonly missing: number
  readonly mismatched: number
  /** Rows with the right bytes of which another column does not say what they say. */
  readonly alteredRows: number
  /**
   * Deliveries that events count beyond those that were sent. A few are no fault: what timed out in the queue and went
   * to the inbox may be counted by both.
   */
  readonly overcounted: number
  readonly landedTwice: number
  readonly landedUnacknowledged: number
  /** Rows received during the run that are not in the ledger, and those from other times. */
  readonly nobodySent: number
  readonly otherTimes: number
  /** Events of this ledger that had landed before the run began, but for test requests: its seed had been used before. */
  readonly landedBefore: number
  readonly journeys: number
  readonly journeysDiffering: number
  /** Decisions that differ in journeys of which the receiver says itself that they need attention. */
  readonly leftOpen: number
  /** Dead letters of this ledger's events that are not resolved. */
  readonly deadLetters: number
  readonly alteredLines: readonly number[]
  /** False where the ledger breaks off: the sender crashed, or its last lines were removed. */
  readonly ledgerEnds: boolean
  /** The first few findings of each kind, in words. */
  readonly findings: readonly string[]
}

export type Finding =
  | 'altered'
  | 'missing'
  | 'mismatched'
  | 'row'
  | 'overcounted'
  | 'twice'
  | 'nobodySent'
  | 'differs'
  | 'dead'

export type Found = (kind: Finding, text: string) => void

const FINDINGS_PER_KIND = 5

/** Counts what was found and keeps the first few of each kind in words. */
export function createFindings() {
  const counts: Record<Finding, number> = {
    altered: 0,
    missing: 0,
    mismatched: 0,
    row: 0,
    overcounted: 0,
    twice: 0,
    nobodySent: 0,
    differs: 0,
    dead: 0,
  }
  const list: string[] = []
  function found(kind: Finding, text: string): void {
    if (counts[kind]++ < FINDINGS_PER_KIND) list.push(text)
  }
  return Object.assign(found, { counts, list })
}
