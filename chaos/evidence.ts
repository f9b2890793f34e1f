/** What a run has seen of its fault, as counts. */
export type Evidence = {
  /** Events that landed by each way. */
  viaRedis: number
  viaInbox: number
  /** UpdateRequests that Sluice refused, mostly with 503. */
  refused: number
  /** UpdateRequests of which the sender does not know whether they arrived. */
  ambiguous: number
  /** Events that the sender sent again because it had no 200. */
  redelivered: number
  /** Processes that were started in the place of one that had ended. */
  restarts: number
  /** Times that a worker stopped taking events because Postgres could not be used. */
  waited: number
  /** Times that an ingest turned from Redis to the inbox for good. */
  fellBack: number
  duplicates: number
}
