import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { newestMigration, release } from './release.ts'

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
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers })
  const histogram = <Label extends string>(
    name: string,
    help: string,
    buckets: number[],
    ...labelNames: Label[]
  ) => new Histogram({ name, help, buckets, labelNames, registers })
  /** Missing until it is set: 0 would be what nobody has looked for. */
  function gauge<Label extends string>(name: string, help: string, ...labelNames: Label[]) {
    const made = new Gauge({ name, help, labelNames, registers })
    if (labelNames.length === 0) made.remove()
    return made
  }
  /** One that is read when it is asked for. */
  function readGauge<Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    read: () => readonly (readonly [labels: Partial<Record<Label, string | number>>, value: number])[],
  ) {
    const collect = () => {
      for (const [labels, value] of read()) made.set(labels, value)
    }
    const made: Gauge<Label> = new Gauge({ name, help, labelNames, registers, collect })
  }
  const buildInfo = gauge(
    'sluice_build_info',
    'Always 1, with the release that runs and the newest migration that it knows',
    'release',
    'schema',
  )
  buildInfo.set({ release: release(), schema: newestMigration() }, 1)
  const pools: Pool[] = []
  const sum = (of: (pool: Pool) => number) => pools.reduce((total, pool) => total + of(pool), 0)
  readGauge(
    'sluice_pool_connections',
    'Connections to Postgres that are used or idle, and what is waiting for one',
    ['state'],
    () =>
      pools.length === 0
        ? []
        : [
            [{ state: 'used' }, sum(({ totalCount, idleCount }) => totalCount - idleCount)],
            [{ state: 'idle' }, sum(({ idleCount }) => idleCount)],
            [{ state: 'waiting' }, sum(({ waitingCount }) => waitingCount)],
          ],
  )
  const circuits: LookAtCircuits[] = []
  readGauge(
    'sluice_circuit_open',
    '1 while calls are kept away from a store that fails, else 0',
    ['store', 'shard'],
    () =>
      circuits.flatMap((look) => look()).map(({ isOpen, ...labels }) => [labels, isOpen ? 1 : 0] as const),
  )
  const batchSize = histogram(
    'sluice_batch_size',
    'Events of a batch of the worker, by stage',
    [1, 2, 5, 10, 25, 50, 100, 200, 400],
    'stage',
  )
  const batchSeconds = histogram(
    'sluice_batch_seconds',
    'Time of a batch of the worker, by stage',
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    'stage',
  )
  return {
    text: () => registry.metrics(),
    contentType: registry.contentType,

    // Every process
    /** What the checks of the stores found when they were last made. level: ok, warn, fail */
    checks: gauge('sluice_checks', 'Checks of the stores by result', 'level'),
    unsafe: gauge('sluice_unsafe_settings', 'Settings of the stores that let acknowledged events be lost'),

    /** `npm start` has several pools in one process: the metric is their sum. */
    watchPool: (pool: Pool) => void pools.push(pool),
    watchCircuits: (look: LookAtCircuits) => void circuits.push(look),
    poolWait: histogram(
      'sluice_pool_wait_seconds',
      'Time until a connection to Postgres was free',
      [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5],
    ),

    // Ingest
    /** outcome: accepted, test, or the label of a refusal (`apps/ingest/src/refusals.ts`) */
    answers: counter(
      'sluice_answers_total',
      'Webhook requests by environment and outcome',
      'environment',
      'outcome',
    ),
    wrongSecrets: counter(
      'sluice_wrong_secrets_total',
      'Requests with wrong credentials from an address that had right ones, or with a known user or header',
      'environment',
    ),
    answerSeconds: histogram(
      'sluice_answer_seconds',
      'Time from the complete request to the answer of accepted events',
      [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    ),
    /** via: redis, inbox */
    enqueued: counter('sluice_enqueued_total', 'Events that a store has acknowledged, by store', 'via'),

    /** kind: those of `idwise/event.ts` */
    events: counter(
      'sluice_events_total',
      'Accepted events by environment and kind, redeliveries included',
      'environment',
      'kind',
    ),
    collapsed: counter('sluice_collapsed_total', 'Accepted events whose job was in the queue already'),

    // Worker
    /** outcome: landed, duplicate, late_duplicate, conflict, erased, dead_letter, retried, delayed */
    handled: counter(
      'sluice_handled_total',
      'Events handled by the worker, by way and outcome',
      'via',
      'outcome',
    ),
    landSeconds: histogram(
      'sluice_land_seconds',
      'Time from receipt to landed',
      [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 900, 1_800],
    ),

    /** Measures the stages of one batch: each from the end of the one before. */
    startBatch(): EndStage {
      let from = performance.now()
      return (stage, events) => {
        const now = performance.now()
        batchSize.observe({ stage }, events)
        batchSeconds.observe({ stage }, (now - from) / 1_000)
        from = now
      }
    },

    // Scheduler
    partitionsAhead: gauge(
      'sluice_partitions_ahead',
      'For how many days from now events have partitions to land in',
    ),
    retentionBehind: gauge(
      'sluice_retention_behind_seconds',
      'For how long events are kept beyond the accepted term',
    ),

    // Scheduler: what each round of 10 s reads from the stores. What could not be read is missing.
    /** state: waiting, active, delayed, failed */
    queueJobs: gauge('sluice_queue_jobs', 'Jobs of Redis by shard and state', 'shard', 'state'),
    /** via: redis, with its shard; inbox */
    oldestWaiting: gauge(
      'sluice_oldest_waiting_seconds',
      'For how long the event has waited that has waited longest',
      'via',
      'shard',
    ),
    inboxRows: gauge('sluice_inbox_rows', 'Events in the inbox, counted up to 10,000'),
    /** state: open, replaying */
    deadLetters: gauge(
      'sluice_dead_letters',
      'Dead letters that are not settled, counted up to 10,000 of each state',
      'reason',
      'state',
    ),
    journeysNeedingAttention: gauge(
      'sluice_journeys_needing_attention',
      'Journeys that need attention, counted up to 10,000',
    ),
    refusingSince: gauge(
      'sluice_refusing_since_seconds',
      'The age of the first refused event that IDWise still tries; 0 without one',
      'environment',
    ),
    senderPatience: gauge(
      'sluice_sender_patience_seconds',
      'For how long IDWise surely tries the first refused event: 900 minus its age, below 0 once it may have given up; 900 without one',
      'environment',
    ),
    lastEvent: gauge(
      'sluice_last_event_timestamp_seconds',
      'When the last event was accepted',
      'environment',
    ),
    sourceInfo: gauge(
      'sluice_source_info',
      'Always 1: the sources that are configured, and whether each is live or a sandbox',
      'environment',
      'kind',
    ),
    workers: gauge('sluice_workers', 'Workers that gave a sign of life, by release', 'release'),
    ingests: gauge('sluice_ingests', 'Ingests that gave a sign of life, by release', 'release'),
    /** store: postgres, redis */
    storeUp: gauge('sluice_store_up', '1 if the last round could read the store, else 0', 'store'),
    /** kind: of postgres synchronous, asynchronous, unknown (the role may not see it); of redis replica */
    replicas: gauge(
      'sluice_replicas',
      'Connected standbys of Postgres and replicas of all masters of Redis',
      'store',
      'kind',
    ),
    redisMemory: gauge(
      'sluice_redis_memory_ratio',
      'The used part of the memory limit, of the fullest master; missing without a limit',
    ),
    redisFullIn: gauge(
      'sluice_redis_full_in_seconds',
      'When the first master reaches its memory limit, at the rate of the last minutes; missing while none grows',
    ),
    drifts: gauge('sluice_drifts', 'Differences from what IDWise documents that nobody has acknowledged'),
    /** channel: slack, mail, pagerduty, webhook, heartbeat; outcome: sent, failed */
    alertsSent: counter(
      'sluice_alerts_sent_total',
      'Messages of alerts, and heartbeats, by channel and by whether the channel took them',
      'channel',
      'outcome',
    ),
    /** name: those of `operations/alerts/texts.ts` */
    alerts: gauge('sluice_alerts', 'Open incidents by name; missing without ALERTS', 'name'),
    erasuresPending: gauge('sluice_erasures_pending', 'Erasures that have no receipt yet'),
  }
}

/** take: claiming jobs, or reading the inbox; land; finish: completing jobs, or the commit of the inbox */
export type EndStage = (stage: 'take' | 'land' | 'finish', events: number) => void
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
