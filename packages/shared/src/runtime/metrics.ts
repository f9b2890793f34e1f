import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { release } from './release.ts'

/**
 * All metrics of all processes: the one place for a new metric, hence long. They are in one list, since `npm start`
 * runs ingest and worker in one process with one registry. A name begins with `sluice_`. The values of a label are a
 * closed set.
 */
export type Metrics = ReturnType<typeof createMetrics>

export function createMetrics() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'sluice_' })
  const registers = [registry]
  const buildInfo = new Gauge({
    name: 'sluice_build_info',
    help: 'Always 1, with the release that runs',
    labelNames: ['release'] as const,
    registers,
  })
  buildInfo.set({ release: release() }, 1)
  const pools: Pool[] = []
  new Gauge({
    name: 'sluice_pool_connections',
    help: 'Connections to Postgres that are used or idle, and what is waiting for one',
    labelNames: ['state'] as const,
    registers,
    collect() {
      const sum = (of: (pool: Pool) => number) => pools.reduce((total, pool) => total + of(pool), 0)
      this.set(
        { state: 'used' },
        sum(({ totalCount, idleCount }) => totalCount - idleCount),
      )
      this.set(
        { state: 'idle' },
        sum(({ idleCount }) => idleCount),
      )
      this.set(
        { state: 'waiting' },
        sum(({ waitingCount }) => waitingCount),
      )
    },
  })
  const circuits: LookAtCircuits[] = []
  new Gauge({
    name: 'sluice_circuit_open',
    help: '1 while calls are kept away from a store that fails, else 0',
    labelNames: ['store', 'shard'] as const,
    registers,
    collect() {
      for (const { isOpen, ...labels } of circuits.flatMap((look) => look())) this.set(labels, isOpen ? 1 : 0)
    },
  })
  return {
    text: () => registry.metrics(),
    contentType: registry.contentType,

    // Every process
    /** What the checks of the stores found when they were last made. level: ok, warn, fail */
    checks: new Gauge({
      name: 'sluice_checks',
      help: 'Checks of the stores by result',
      labelNames: ['level'] as const,
      registers,
    }),
    unsafe: new Gauge({
      name: 'sluice_unsafe_settings',
      help: 'Settings of the stores that let acknowledged events be lost',
      registers,
    }),

    /** `npm start` has several pools in one process: the metric is their sum. */
    watchPool: (pool: Pool) => void pools.push(pool),
    watchCircuits: (look: LookAtCircuits) => void circuits.push(look),

    // Ingest
    /** outcome: accepted, test, or the label of a refusal (`apps/ingest/src/refusals.ts`) */
    answers: new Counter({
      name: 'sluice_answers_total',
      help: 'Webhook requests by environment and outcome',
      labelNames: ['environment', 'outcome'] as const,
      registers,
    }),
    wrongSecrets: new Counter({
      name: 'sluice_wrong_secrets_total',
      help: 'Requests with wrong credentials from an address that had right ones, or with a known user or header',
      labelNames: ['environment'] as const,
      registers,
    }),
    answerSeconds: new Histogram({
      name: 'sluice_answer_seconds',
      help: 'Time from the complete request to the answer of accepted events',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
      registers,
    }),
    /** via: redis, inbox */
    enqueued: new Counter({
      name: 'sluice_enqueued_total',
      help: 'Events that a store has acknowledged, by store',
      labelNames: ['via'] as const,
      registers,
    }),

    /** kind: those of `idwise/event.ts` */
    events: new Counter({
      name: 'sluice_events_total',
      help: 'Accepted events by environment and kind, redeliveries included',
      labelNames: ['environment', 'kind'] as const,
      registers,
    }),
    collapsed: new Counter({
      name: 'sluice_collapsed_total',
      help: 'Accepted events whose job was in the queue already',
      registers,
    }),

    // Worker
    /** outcome: landed, duplicate, late_duplicate, conflict, erased, dead_letter, retried, delayed */
    handled: new Counter({
      name: 'sluice_handled_total',
      help: 'Events handled by the worker, by way and outcome',
      labelNames: ['via', 'outcome'] as const,
      registers,
    }),
    landSeconds: new Histogram({
      name: 'sluice_land_seconds',
      help: 'Time from receipt to landed',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300],
      registers,
    }),

    batchSize: new Histogram({
      name: 'sluice_batch_size',
      help: 'Events that land in one transaction',
      buckets: [1, 2, 5, 10, 25, 50, 100, 200, 400],
      registers,
    }),
    batchSeconds: new Histogram({
      name: 'sluice_batch_seconds',
      help: 'Time of a transaction that lands events, with the wait for its connection',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    }),

    // Scheduler
    partitionsAhead: new Gauge({
      name: 'sluice_partitions_ahead',
      help: 'For how many days from now events have partitions to land in',
      registers,
    }),
    retentionBehind: new Gauge({
      name: 'sluice_retention_behind_seconds',
      help: 'For how long events are kept beyond the accepted term',
      registers,
    }),

    // Scheduler: what each round of 10 s reads from the stores. What could not be read is missing.
    /** state: waiting, active, delayed, failed */
    queueJobs: new Gauge({
      name: 'sluice_queue_jobs',
      help: 'Jobs of Redis by shard and state',
      labelNames: ['shard', 'state'] as const,
      registers,
    }),
    /** via: redis, inbox */
    oldestWaiting: new Gauge({
      name: 'sluice_oldest_waiting_seconds',
      help: 'For how long the event has waited that has waited longest',
      labelNames: ['via'] as const,
      registers,
    }),
    inboxRows: new Gauge({
      name: 'sluice_inbox_rows',
      help: 'Events in the inbox, counted up to 10,000',
      registers,
    }),
    /** state: open, replaying */
    deadLetters: new Gauge({
      name: 'sluice_dead_letters',
      help: 'Dead letters that are not settled, counted up to 10,000 of each state',
      labelNames: ['reason', 'state'] as const,
      registers,
    }),
    journeysNeedingAttention: new Gauge({
      name: 'sluice_journeys_needing_attention',
      help: 'Journeys that need attention, counted up to 10,000',
      registers,
    }),
    refusingSince: new Gauge({
      name: 'sluice_refusing_since_seconds',
      help: 'The age of the first refused event that IDWise still tries; 0 without one',
      labelNames: ['environment'] as const,
      registers,
    }),
    senderPatience: new Gauge({
      name: 'sluice_sender_patience_seconds',
      help: 'For how long IDWise surely tries the first refused event: 900 minus its age, below 0 once it may have given up; 900 without one',
      labelNames: ['environment'] as const,
      registers,
    }),
    lastEvent: new Gauge({
      name: 'sluice_last_event_timestamp_seconds',
      help: 'When the last event was accepted',
      labelNames: ['environment'] as const,
      registers,
    }),
    sourceInfo: new Gauge({
      name: 'sluice_source_info',
      help: 'Always 1: the sources that are configured, and whether each is live or a sandbox',
      labelNames: ['environment', 'kind'] as const,
      registers,
    }),
    workers: new Gauge({
      name: 'sluice_workers',
      help: 'Workers that gave a sign of life, by release',
      labelNames: ['release'] as const,
      registers,
    }),
    ingests: new Gauge({
      name: 'sluice_ingests',
      help: 'Ingests that gave a sign of life, by release',
      labelNames: ['release'] as const,
      registers,
    }),
    /** store: postgres, redis */
    storeUp: new Gauge({
      name: 'sluice_store_up',
      help: '1 if the last round could read the store, else 0',
      labelNames: ['store'] as const,
      registers,
    }),
    /** kind: of postgres synchronous, asynchronous, unknown (the role may not see it); of redis replica */
    replicas: new Gauge({
      name: 'sluice_replicas',
      help: 'Connected standbys of Postgres and replicas of all masters of Redis',
      labelNames: ['store', 'kind'] as const,
      registers,
    }),
    redisMemory: new Gauge({
      name: 'sluice_redis_memory_ratio',
      help: 'The used part of the memory limit, of the fullest master; missing without a limit',
      registers,
    }),
    drifts: new Gauge({
      name: 'sluice_drifts',
      help: 'Differences from what IDWise documents that nobody has acknowledged',
      registers,
    }),
    /** channel: slack, mail, pagerduty, webhook, heartbeat; outcome: sent, failed */
    alertsSent: new Counter({
      name: 'sluice_alerts_sent_total',
      help: 'Messages of alerts, and heartbeats, by channel and by whether the channel took them',
      labelNames: ['channel', 'outcome'] as const,
      registers,
    }),
    erasuresPending: new Gauge({
      name: 'sluice_erasures_pending',
      help: 'Erasures that have no receipt yet',
      registers,
    }),
  }
}

type Pool = { readonly totalCount: number; readonly idleCount: number; readonly waitingCount: number }
/** Postgres has one circuit, and Redis one for each shard. */
type LookAtCircuits = () => readonly ({ isOpen: boolean } & (
  | { store: 'postgres' }
  | { store: 'redis'; shard: number }
))[]

/** Sums since the start of the process, by name and labels of the metric: `answers live accepted`. */
export type Totals = Readonly<Record<string, number>>

/** Of a histogram the counts of its buckets, each with all smaller ones: `landSeconds 0.05`. */
export async function totalsOf(
  metrics: Metrics,
  names: readonly ('answers' | 'wrongSecrets' | 'enqueued' | 'handled' | 'landSeconds')[],
): Promise<Totals> {
  const totals: Record<string, number> = {}
  for (const name of names) {
    const { values } = await metrics[name].get()
    for (const { labels, value, metricName = '' } of values as Value[]) {
      if (/_(sum|count)$/.test(metricName)) continue
      totals[[name, ...Object.values(labels)].join(' ')] = value
    }
  }
  return totals
}

type Value = { labels: Record<string, string | number>; value: number; metricName?: string }
