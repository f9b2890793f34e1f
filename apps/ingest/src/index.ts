export { type IngestConfig, ingestSettings, readIngestConfig } from './config.ts'
export { startIngest } from './ingest.ts'
