/** How much is measured. */
export type Plan = {
  readonly rounds: number
  /** Rounds of the ingest alone. Its CPU per event differs by a tenth from round to round. */
  readonly answerRounds: number
  /** Length of a measurement under load. */
  readonly seconds: number
  /** Length of a measurement of ingest and worker together, in which a backlog must show. */
  readonly flatSeconds: number
  /** Events that a worker lands. */
  readonly backlog: number
  /** Events that wait while the answers are measured; 0 leaves this out. */
  readonly waiting: number
  /** Rows in the table of events before landing is measured; empty leaves this out. */
  readonly grown: readonly number[]
  /** Events a second at which the CPU per event is measured. */
  readonly steadyRates: readonly number[]
  readonly answers: readonly string[]
  /** Candidates that are compared follow each other, because a machine changes its speed. */
  readonly landing: readonly string[]
  readonly pairs: readonly string[]
  readonly flat: readonly string[]
}

export const QUICK: Plan = {
  rounds: 3,
  answerRounds: 5,
  seconds: 1.2,
  flatSeconds: 3,
  backlog: 10_000,
  waiting: 0,
  grown: [],
  steadyRates: [2_000],
  answers: ['B', 'C', 'S', 'P'],
  landing: ['N', 'S', 'C', 'P', 'D'],
  pairs: [],
  flat: ['C', 'S', 'P'],
}

export const FULL: Plan = {
  rounds: 3,
  answerRounds: 5,
  seconds: 2,
  flatSeconds: 4,
  backlog: 50_000,
  waiting: 500_000,
  grown: [1_000_000, 10_000_000],
  steadyRates: [2_000, 4_000],
  answers: ['A2', 'B', 'C', 'D', 'E', 'S', 'P'],
  landing: ['N', 'S', 'C', 'P', 'D', 'D2', 'E'],
  pairs: ['C', 'S', 'P'],
  flat: ['B', 'C', 'D', 'E', 'S', 'P'],
}
