export { describeProgress, describeReport, describeSummary } from './describe.ts'
export { readLedger } from './ledger.ts'
export { parseMix } from './send/mix.ts'
export { createRandom, type Random } from './send/random.ts'
export { type SimulateOptions, type Summary, simulate } from './send/simulate.ts'

export type { DeadLetterRow, EventRow, JourneyRow, Report } from './verify/report.ts'
export { verify } from './verify/verify.ts'
