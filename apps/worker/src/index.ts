export { readWorkerConfig, type WorkerConfig, workerSettings } from './config.ts'
export { startWorker } from './worker.ts'
