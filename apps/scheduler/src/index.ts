export { schedulerSettings } from './config.ts'
export { startScheduler } from './scheduler.ts'
