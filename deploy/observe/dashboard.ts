/** Each panel answers a question. Gauges of the stores come from every scheduler alike, hence the `max`. */
const PANELS: readonly {
  readonly title: string
  readonly unit: string
  readonly exprs: readonly string[]
}[] = [
  {
    title: 'Is anything refused?',
    unit: 'reqps',
    exprs: ['sum by (outcome) (rate(sluice_answers_total[5m]))'],
  },
  {
    title: 'How long has IDWise patience?',
    unit: 's',
    exprs: ['min by (environment) (sluice_sender_patience_seconds)'],
  },
  { title: 'Does anything wait?', unit: 's', exprs: ['max by (via) (sluice_oldest_waiting_seconds)'] },
  {
    title: 'How much waits?',
    unit: 'short',
    exprs: ['sum by (state) (max by (shard, state) (sluice_queue_jobs))', 'max(sluice_inbox_rows)'],
  },
  {
    title: 'What becomes of events?',
    unit: 'reqps',
    exprs: ['sum by (outcome) (rate(sluice_handled_total[5m]))'],
  },
  {
    title: 'How fast do events land (p95)?',
    unit: 's',
    exprs: ['histogram_quantile(0.95, sum by (le) (rate(sluice_land_seconds_bucket[5m])))'],
  },
  {
    title: 'How fast is the answer (p99)?',
    unit: 's',
    exprs: ['histogram_quantile(0.99, sum by (le) (rate(sluice_answer_seconds_bucket[5m])))'],
  },
  {
    title: 'What comes?',
    unit: 'reqps',
    exprs: ['sum by (kind) (rate(sluice_events_total[5m]))'],
  },
  {
    title: 'Where does a batch spend its time (p95)?',
    unit: 's',
    exprs: ['histogram_quantile(0.95, sum by (le, stage) (rate(sluice_batch_seconds_bucket[5m])))'],
  },
  {
    title: 'How large are batches?',
    unit: 'short',
    exprs: [
      'sum by (stage) (rate(sluice_batch_size_sum[5m])) / sum by (stage) (rate(sluice_batch_size_count[5m]))',
    ],
  },
  {
    title: 'What is open?',
    unit: 'short',
    exprs: [
      'max by (reason, state) (sluice_dead_letters)',
      'max(sluice_journeys_needing_attention)',
      'max(sluice_erasures_pending)',
      'max(sluice_drifts)',
    ],
  },
  { title: 'Which incidents are open?', unit: 'short', exprs: ['max by (name) (sluice_alerts)'] },
  { title: 'Do the stores answer?', unit: 'short', exprs: ['max by (store) (sluice_store_up)'] },
  {
    title: 'Is anything kept away from a store?',
    unit: 'short',
    exprs: ['max by (store, shard) (sluice_circuit_open)'],
  },
  {
    title: 'Who runs?',
    unit: 'short',
    exprs: ['max by (release) (sluice_ingests)', 'max by (release) (sluice_workers)'],
  },
  {
    title: 'When did the last event come?',
    unit: 's',
    exprs: ['time() - max by (environment) (sluice_last_event_timestamp_seconds)'],
  },
  {
    title: 'How full is Redis?',
    unit: 'percentunit',
    exprs: ['max(sluice_redis_memory_ratio)'],
  },
  { title: 'When is Redis full?', unit: 's', exprs: ['min(sluice_redis_full_in_seconds)'] },
  {
    title: 'For how many days are there partitions, and is retention behind?',
    unit: 'd',
    exprs: ['max(sluice_partitions_ahead)', 'max(sluice_retention_behind_seconds) / 86400'],
  },
  {
    title: 'Who follows the stores?',
    unit: 'short',
    exprs: ['max by (store, kind) (sluice_replicas)'],
  },
  {
    title: 'Is a connection to Postgres free?',
    unit: 'short',
    exprs: ['sum by (state) (sluice_pool_connections)'],
  },
  {
    title: 'How long is a connection to Postgres waited for (p95)?',
    unit: 's',
    exprs: ['histogram_quantile(0.95, sum by (le) (rate(sluice_pool_wait_seconds_bucket[5m])))'],
  },
  {
    title: 'Is a process short of breath?',
    unit: 's',
    exprs: ['max(sluice_nodejs_eventloop_lag_p99_seconds)'],
  },
]

const COLUMNS = 3
const [WIDTH, HEIGHT] = [24 / COLUMNS, 8]

/** The dashboard as Grafana imports it. */
export function dashboardText(): string {
  const panels = PANELS.map(({ title, unit, exprs }, index) => ({
    id: index + 1,
    title,
    type: 'timeseries',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana's
    datasource: { type: 'prometheus', uid: '${datasource}' },
    gridPos: {
      x: (index % COLUMNS) * WIDTH,
      y: Math.floor(index / COLUMNS) * HEIGHT,
      w: WIDTH,
      h: HEIGHT,
    },
    fieldConfig: { defaults: { unit }, overrides: [] },
    targets: exprs.map((expr, n) => ({ refId: String.fromCharCode(65 + n), expr })),
  }))
  const dashboard = {
    title: 'Sluice',
    uid: 'sluice',
    schemaVersion: 39,
    timezone: 'utc',
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    templating: { list: [{ name: 'datasource', type: 'datasource', query: 'prometheus' }] },
    panels,
  }
  return `${JSON.stringify(dashboard, undefined, 2)}\n`
}
