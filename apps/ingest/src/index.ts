export { type IngestConfig, readIngestConfig } from './config.ts'
export { startIngest } from './ingest.ts'
