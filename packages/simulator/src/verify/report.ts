/** A row of `events`. `body_sha256` is the hash of its `raw`, `stored_sha256` is its column `body_sha256`; both hex. */
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

/** A row of `dead_letters`. `body_sha256` is the hash of its `raw`, hex. */
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
   * Every acknowledged event has landed unaltered, no other rows were written during the run, and the ledger is whole.
   */
  readonly ok: boolean
  readonly requests: number
  /** Different events that were sent. */
  readonly sent: number
  readonly acknowledged: number
  readonly landed: number
  /** Acknowledged events that are neither in `events` nor in `dead_letters`. */
  readonly missing: number
  readonly mismatched: number
  /** Rows with the right bytes in which another column differs from the bytes. */
  readonly alteredRows: number
  /**
   * Deliveries that were counted and never sent. A few are no fault: one that timed out in the queue and was written to
   * the inbox may be counted twice.
   */
  readonly overcounted: number
  readonly landedTwice: number
  readonly landedUnacknowledged: number
  /** Rows that are not in the ledger: those received during the run, and those of other times. */
  readonly nobodySent: number
  readonly otherTimes: number
  /** Events, except test requests, that had landed before the run began: the seed was used before. */
  readonly landedBefore: number
  readonly journeys: number
  readonly journeysDiffering: number
  /** Fields that differ in journeys for which the receiver asks for attention. */
  readonly leftOpen: number
  /** Dead letters of this ledger's events that are not resolved. */
  readonly deadLetters: number
  readonly alteredLines: readonly number[]
  /** False if the ledger breaks off: the sender crashed, or the last lines were removed. */
  readonly ledgerEnds: boolean
  /** The first few findings of each kind, as text. */
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

/** Counts the findings, and keeps the text of the first few of each kind. */
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
