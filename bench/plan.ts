/** How much is measured. */
export type Plan = {
  readonly rounds: number
  /** Of the ingest alone: its CPU per event differs by a tenth from one to the next. */
  readonly answerRounds: number
  /** Length of one measurement under load. */
  readonly seconds: number
  /** Length of one with a worker beside the ingest, in which a backlog has to show. */
  readonly flatSeconds: number
  /** Events that a worker lands. */
  readonly backlog: number
  /** Events that wait while the answers are measured; 0: not measured. */
  readonly waiting: number
  /** Rows that the table of events has before landing is measured; empty: not measured. */
  readonly grown: readonly number[]
  /** Events a second at which the CPU per event is measured. */
  readonly steadyRates: readonly number[]
  readonly answers: readonly string[]
  /** In an order in which those that are compared follow each other, on a machine that changes its speed. */
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
