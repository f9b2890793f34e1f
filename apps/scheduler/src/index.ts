export { readSchedulerConfig } from './config.ts'
export { startScheduler } from './scheduler.ts'
