import { readFileSync } from 'node:fs'
import { wordsOfAlert } from '@sluice/shared/operations'
import { stringify } from 'yaml'

type Rule = {
  /** In kebab-case the heading of docs/runbooks.md, unless `runbook` is. */
  readonly name: string
  readonly runbook?: string
  readonly expr: string
  readonly for: string
  readonly severity: 'critical' | 'warning' | 'none'
  readonly summary: string
  readonly description: string
}

const SILENCE = '(time() - max by (environment) (sluice_last_event_timestamp_seconds))'
const SILENCE_A_WEEK_AGO = `max_over_time(${SILENCE}[1h:1m] offset 1w)`

const RULES: readonly Rule[] = [
  {
    name: 'Refusing',
    expr: 'sum(increase(sluice_answers_total{outcome="unavailable"}[2m])) > 0 or sum(sluice_answers_total{outcome="unavailable"} unless sluice_answers_total{outcome="unavailable"} offset 2m) > 0',
    for: '0s',
    severity: 'critical',
    summary: 'Events are refused',
    description:
      'No store took an event in the last two minutes. IDWise tries each three times more, until 15 to 30 minutes after the first try, then never.',
  },
  {
    name: 'PatienceRunsOut',
    runbook: 'refusing',
    expr: 'min by (environment) (sluice_sender_patience_seconds) < 300 and on () sum(increase(sluice_answers_total{outcome="unavailable"}[15m])) > 0',
    for: '0s',
    severity: 'critical',
    summary: 'IDWise gives up soon on events of {{ $labels.environment }}',
    description: 'It makes its last try of the first refused event in {{ $value | humanizeDuration }}.',
  },
  {
    name: 'NoIngest',
    expr: 'sum(max by (release) (sluice_ingests)) == 0',
    for: '1m',
    severity: 'critical',
    summary: 'No ingest runs',
    description: 'No ingest gives a sign of life: IDWise cannot deliver.',
  },
  {
    name: 'NobodyConsumes',
    expr: '((max(sluice_oldest_waiting_seconds) > 60 unless on () max(sluice_workers) > 0) or absent(sluice_workers)) unless on () max(sluice_store_up{store="postgres"}) == 0',
    for: '1m',
    severity: 'critical',
    summary: 'No worker runs',
    description: 'Events wait and no worker gives a sign of life, or no scheduler runs to report it.',
  },
  {
    name: 'Late',
    expr: 'max(sluice_oldest_waiting_seconds) > 120',
    for: '2m',
    severity: 'warning',
    summary: 'Events land late',
    description: 'The oldest event has waited {{ $value | humanizeDuration }}.',
  },
  {
    name: 'CredentialsRefused',
    // Strangers are not counted: they must not be able to wake people.
    expr: 'sum by (environment) (increase(sluice_wrong_secrets_total[5m])) > 10 unless on (environment) sum by (environment) (increase(sluice_answers_total{outcome="accepted"}[5m])) > 0',
    for: '0s',
    severity: 'critical',
    summary: 'Credentials of {{ $labels.environment }} are refused, and nothing of it is accepted',
    description: 'The secret may have been rotated at one end only.',
  },
  {
    name: 'StoreUnsafe',
    expr: 'max(sluice_unsafe_settings) > 0',
    for: '1m',
    severity: 'critical',
    summary: 'A store may lose events',
    description: 'A setting of a store lets acknowledged events be lost.',
  },
  {
    name: 'StoreDown',
    expr: 'max by (store) (sluice_store_up) == 0',
    for: '1m',
    severity: 'critical',
    summary: '{{ $labels.store }} does not answer',
    description: 'No scheduler could read {{ $labels.store }} for a minute.',
  },
  {
    name: 'StoreFull',
    expr: 'max(sluice_redis_memory_ratio) > 0.9 or (min(sluice_redis_full_in_seconds) < 1800 and max(sluice_redis_memory_ratio) > 0.5)',
    for: '2m',
    severity: 'critical',
    summary: 'Redis is full soon',
    description:
      "Redis' memory is above 90 % of its limit, or reaches it within half an hour at the rate of the last minutes.",
  },
  {
    name: 'ReplicaGone',
    expr: 'max by (store) (sum by (store, instance) (sluice_replicas)) < max by (store) (max_over_time(sum by (store, instance) (sluice_replicas)[6h:1m]))',
    for: '2m',
    severity: 'warning',
    summary: 'A replica of {{ $labels.store }} is gone',
    description: 'It has {{ $value }} now, and had more within the last six hours.',
  },
  {
    name: 'DeadLetters',
    expr: 'sum(max by (reason, state) (sluice_dead_letters{state="open"})) > 0',
    for: '0s',
    severity: 'warning',
    summary: '{{ $value }} dead letters are open',
    description: 'Each is an event that has not taken effect.',
  },
  {
    name: 'Silence',
    expr: `((${SILENCE} > 1800 and ${SILENCE} > 3 * ${SILENCE_A_WEEK_AGO}) or (${SILENCE} > 7200 unless ${SILENCE_A_WEEK_AGO})) and on (environment) sluice_source_info{kind="live"}`,
    for: '10m',
    severity: 'warning',
    summary: 'No event of {{ $labels.environment }} has come for longer than usual',
    description:
      'The last event of this source was accepted {{ $value | humanizeDuration }} ago: half an hour at least, and three times the longest silence of this hour a week ago. Without data of a week ago, two hours.',
  },
  {
    name: 'Fallback',
    expr: 'sum(increase(sluice_enqueued_total{via="inbox"}[5m])) > 0 and on () max(sluice_store_up{store="redis"}) >= 0',
    for: '5m',
    severity: 'warning',
    summary: 'Events go to the inbox',
    description: 'Redis is configured, and Postgres takes its place.',
  },
  {
    name: 'ChannelFails',
    expr: 'sum by (channel) (increase(sluice_alerts_sent_total{outcome="failed"}[10m])) > 0 or sum by (channel) (sluice_alerts_sent_total{outcome="failed"} unless sluice_alerts_sent_total{outcome="failed"} offset 10m) > 0',
    for: '0s',
    severity: 'warning',
    summary: 'The channel {{ $labels.channel }} takes no message',
    description: 'A message of an alert, or the heartbeat, did not arrive within five tries.',
  },
  {
    name: 'PartitionsMissing',
    expr: 'max(sluice_partitions_ahead) < 3',
    for: '30m',
    severity: 'warning',
    summary: 'Partitions are missing',
    description: 'Events have partitions for {{ $value }} more days.',
  },
  {
    name: 'RetentionBehind',
    expr: 'max(sluice_retention_behind_seconds) > 172800',
    for: '30m',
    severity: 'warning',
    summary: 'Retention is behind',
    description: 'Events are kept {{ $value | humanizeDuration }} beyond their term.',
  },
  {
    name: 'Drift',
    expr: 'max(sluice_drifts) > 0',
    for: '10m',
    severity: 'warning',
    summary: 'IDWise sends what it does not document',
    description: '{{ $value }} differences that nobody has acknowledged.',
  },
  {
    name: 'OldRelease',
    expr: 'count(count by (release) (sluice_build_info)) > 1',
    for: '30m',
    severity: 'warning',
    summary: 'Two releases run',
    description: 'A rollout has not ended.',
  },
  {
    name: 'Watchdog',
    expr: 'vector(1) > 0',
    for: '0s',
    severity: 'none',
    summary: 'The alerts work',
    description: 'It always fires: let its absence page somebody.',
  },
]

const { homepage } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
const RUNBOOKS = `${homepage.replace(/#.*/, '')}/blob/main/docs/runbooks.md`

const HEAD =
  '# Rules for Prometheus. `npm run chart` writes them, from rules.ts, and copies them into the chart.\n'

/** The rules as Prometheus reads them, each with what its runbook says first. */
export function rulesText(): string {
  const rules = RULES.map(({ name, expr, for: lasting, severity, summary, description, runbook }) => {
    const heading = runbook ?? runbookHeading(name)
    const words = wordsOfAlert(heading)
    return {
      alert: `Sluice${name}`,
      expr,
      for: lasting,
      labels: { severity },
      annotations: {
        summary,
        description,
        ...(words && { idwise_notices: words.means, first_command: words.command, do_not: words.never }),
        runbook_url: `${RUNBOOKS}#${heading}`,
      },
    }
  })
  return HEAD + stringify({ groups: [{ name: 'sluice', rules }] }, { lineWidth: 0 })
}

/** `StoreDown` has the heading `store-down`. */
const runbookHeading = (name: string) => name.replace(/(?<!^)(?=[A-Z])/g, '-').toLowerCase()
