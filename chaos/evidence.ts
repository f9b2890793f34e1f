/** What a run shows of its fault, as counts. */
export type Evidence = {
  /** Events that landed by each way. */
  viaRedis: number
  viaInbox: number
  /** Requests that Sluice refused, mostly with 503. */
  refused: number
  /** Requests without an answer: the sender cannot know whether they arrived. */
  ambiguous: number
  /** Events that were sent again because there was no 200. */
  redelivered: number
  /** Processes that were started because another one had ended. */
  restarts: number
  /** How often a worker stopped claiming events because Postgres could not be used. */
  waited: number
  /** How often an ingest stopped trying Redis first and wrote to the inbox. */
  fellBack: number
  duplicates: number
}

/** The counts that faults make themselves. */
export type Trace =
  | 'killed'
  | 'terminated'
  | 'failpoints'
  | 'stopped'
  | 'waitingAtCut'
  | 'syncs'
  | 'failovers'
  | 'nodes'
  | 'moved'
  | 'full'
  | 'bytesCut'
  | 'dropped'
  | 'sliced'
  | 'warned'
  | 'busy'
  | 'closed'
  | 'waiting'
  | 'refusedSecond'
