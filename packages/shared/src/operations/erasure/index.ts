export { type EraseOptions, erase } from './erase.ts'
export { type ErasurePlan, planErasure } from './plan.ts'
export type { Receipt } from './receipt.ts'
