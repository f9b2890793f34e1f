import type { QueueLocation } from '@sluice/shared/queue'

export const LIVE_TOKEN = 'live-token-of-the-tests'
export const SANDBOX_TOKEN = 'sandbox-token-of-the-tests'

/** The credentials of every ingest in a test, as the simulator sends them. */
export const CREDENTIALS = {
  live: [{ kind: 'bearer', token: LIVE_TOKEN }],
  sandbox: [{ kind: 'bearer', token: SANDBOX_TOKEN }],
} as const

/** The environment of Sluice's processes on these stores. Every process takes a port that is free. */
export function settingsOf({
  databaseUrl,
  queue,
}: {
  databaseUrl: string
  queue?: QueueLocation | undefined
}): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl,
    ...(queue && {
      REDIS_URL: queue.url,
      QUEUE_PREFIX: queue.prefix,
      QUEUE_SHARDS: String(queue.shards),
    }),
    IDWISE_LIVE_CREDENTIALS: `bearer:${LIVE_TOKEN}`,
    IDWISE_SANDBOX_CREDENTIALS: `bearer:${SANDBOX_TOKEN}`,
    INGEST_PORT: '0',
    WORKER_PORT: '0',
    CONSOLE_PORT: '0',
    METRICS_PORT: '0',
    SHUTDOWN_DELAY_SECONDS: '0',
  }
}
