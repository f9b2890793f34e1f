/** What a metric is while all is well, and then; null: missing. A counter grows by so much a minute then. */
export type Values = { well: number | null; bad: number } | { perMinute: number }
const GONE = null

/** What brings each alert about, and a change of its rule after which that no longer does. */
export const CASES: Record<string, { series: Record<string, Values>; change: [string, string] }> = {
  Refusing: {
    series: { 'sluice_answers_total{outcome="unavailable"}': { perMinute: 1 } },
    change: ['> 0', '> 1000'],
  },
  PatienceRunsOut: {
    series: {
      'sluice_sender_patience_seconds{environment="live"}': { well: 1_800, bad: 200 },
      'sluice_answers_total{outcome="unavailable"}': { perMinute: 1 },
    },
    change: ['< 300', '< 30'],
  },
  NoIngest: { series: { 'sluice_ingests{release="1"}': { well: 1, bad: 0 } }, change: ['== 0', '== 2'] },
  NobodyConsumes: {
    series: {
      'sluice_oldest_waiting_seconds{via="redis",shard="0"}': { well: 0, bad: 90 },
      'sluice_workers{release="1"}': { well: 1, bad: 0 },
    },
    change: ['> 60', '> 600'],
  },
  Late: {
    series: { 'sluice_oldest_waiting_seconds{via="redis",shard="1"}': { well: 0, bad: 150 } },
    change: ['> 120', '> 600'],
  },
  CredentialsRefused: {
    series: {
      'sluice_wrong_secrets_total{environment="uae-live"}': { perMinute: 5 },
      'sluice_answers_total{outcome="accepted",environment="live"}': { perMinute: 5 },
    },
    change: ['> 10', '> 100'],
  },
  StoreUnsafe: { series: { sluice_unsafe_settings: { well: 0, bad: 1 } }, change: ['> 0', '> 1'] },
  StoreDown: {
    series: { 'sluice_store_up{store="redis"}': { well: 1, bad: 0 } },
    change: ['== 0', '== 2'],
  },
  StoreFull: {
    series: {
      sluice_redis_memory_ratio: { well: 0.3, bad: 0.6 },
      sluice_redis_full_in_seconds: { well: GONE, bad: 900 },
    },
    change: ['< 1800', '< 180'],
  },
  ReplicaGone: {
    series: { 'sluice_replicas{store="redis",kind="replica"}': { well: 2, bad: 1 } },
    change: ['<', '>'],
  },
  DeadLetters: {
    series: { 'sluice_dead_letters{reason="conflict",state="open"}': { well: GONE, bad: 1 } },
    change: ['> 0', '> 1'],
  },
  Silence: {
    series: {
      'sluice_last_event_timestamp_seconds{environment="uae-live"}': { well: 20_000, bad: -7_200 },
      'sluice_source_info{environment="uae-live",kind="live"}': { well: 1, bad: 1 },
    },
    change: ['> 7200', '> 72000'],
  },
  Fallback: {
    series: {
      'sluice_enqueued_total{via="inbox"}': { perMinute: 1 },
      'sluice_store_up{store="redis"}': { well: 1, bad: 0 },
    },
    change: ['> 0', '> 1000'],
  },
  ChannelFails: {
    series: { 'sluice_alerts_sent_total{channel="mail",outcome="failed"}': { perMinute: 1 } },
    change: ['> 0', '> 1000'],
  },
  PartitionsMissing: { series: { sluice_partitions_ahead: { well: 40, bad: 2 } }, change: ['< 3', '< 1'] },
  RetentionBehind: {
    series: { sluice_retention_behind_seconds: { well: 0, bad: 180_000 } },
    change: ['> 172800', '> 200000'],
  },
  Drift: { series: { sluice_drifts: { well: 0, bad: 1 } }, change: ['> 0', '> 1'] },
  OldRelease: {
    series: {
      'sluice_build_info{release="1"}': { well: 1, bad: 1 },
      'sluice_build_info{release="2"}': { well: GONE, bad: 1 },
    },
    change: ['> 1', '> 2'],
  },
  Watchdog: { series: {}, change: ['> 0', '> 1'] },
}
