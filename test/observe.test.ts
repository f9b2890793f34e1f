import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DEAD_LETTER_REASONS } from '@sluice/shared/disposition'
import { REFUSED, runbookOf } from '@sluice/shared/operations'
import { createMetrics } from '@sluice/shared/runtime'
import { program } from '@sluice/testkit/programs'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { dashboardText } from '../deploy/observe/dashboard.ts'
import { rulesText } from '../deploy/observe/rules.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
type Rule = { alert: string; expr: string; for: string; annotations: Record<string, string> }
const rules: Rule[] = parse(read('deploy/observe/rules.yaml')).groups[0].rules
const dashboard = JSON.parse(read('deploy/observe/dashboard.json'))
const queries: string[] = dashboard.panels.flatMap((panel: { targets: { expr: string }[] }) =>
  panel.targets.map(({ expr }) => expr),
)
const promtool = program('prometheus') ?? ''

const kebab = (alert: string) =>
  alert
    .replace(/^Sluice/, '')
    .replace(/(?<!^)(?=[A-Z])/g, '-')
    .toLowerCase()

async function registered(): Promise<string[]> {
  return [...(await createMetrics().text()).matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name)
}

it('rules and dashboard are as `npm run chart` writes them', () => {
  expect(read('deploy/observe/rules.yaml')).toBe(rulesText())
  expect(read('deploy/observe/dashboard.json')).toBe(dashboardText())
})

it('rules and dashboard name only metrics of the registry', async () => {
  const names = await registered()
  const named = [...rules.map(({ expr }) => expr), ...queries].flatMap(
    (expr) => expr.match(/sluice_\w+/g) ?? [],
  )
  expect(named.map((name) => name.replace(/_bucket$/, '')).filter((name) => !names.includes(name))).toEqual(
    [],
  )
})

it('a gauge that nobody has set is missing', async () => {
  const text = await createMetrics().text()
  const gauges = [...text.matchAll(/^# TYPE (sluice_\S+) gauge$/gm)].map(([, name = '']) => name)
  const set = gauges.filter((name) => new RegExp(`^${name}[ {]`, 'm').test(text))
  expect(gauges).toContain('sluice_inbox_rows')
  expect(set.filter((name) => !/^sluice_(nodejs|process)_/.test(name))).toEqual(['sluice_build_info'])
})

it('operations.md has every metric of the registry, and no other', async () => {
  const [, section = ''] = read('docs/operations.md').split('\n## Metrics\n')
  const rows = section.split('\n').filter((line) => line.startsWith('| `sluice_'))
  const documented = rows.flatMap((row) => row.split(' | ')[0]?.match(/sluice_\w+/g) ?? [])
  const own = (await registered()).filter((name) => !/^sluice_(nodejs|process)_/.test(name))
  expect(documented.sort()).toEqual(own.sort())
})

it('operations.md has every outcome of a webhook request, and no other', () => {
  const row = /^\| `sluice_answers_total.*?\| webhook requests, by source[^:]*: (.*) \|$/m
  const [, listed = ''] = row.exec(read('docs/operations.md')) ?? []
  const documented = listed.split(', ').map((name) => name.replaceAll('`', ''))
  expect(documented.sort()).toEqual(['accepted', 'test', ...Object.keys(REFUSED)].sort())
})

it('operations.md says what to do about dead letters of each reason, as the console does', () => {
  const rows = [...read('docs/operations.md').matchAll(/^\| `(\w+)` \| ([A-Z].*\.) \|$/gm)]
  expect(rows.map(([, reason, text]) => [reason, text])).toEqual(
    DEAD_LETTER_REASONS.map((reason) => [reason, runbookOf(reason)]),
  )
})

it('every alert has its runbook, and every runbook its alert', () => {
  const headings = [...read('docs/runbooks.md').matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)
  expect(headings).toEqual(expect.arrayContaining(rules.map(({ alert }) => kebab(alert))))
  for (const { alert, annotations } of rules) {
    expect(annotations.runbook_url).toMatch(new RegExp(`docs/runbooks\\.md#${kebab(alert)}$`))
  }
})

/** What brings each alert about, minute by minute, and a change of its rule after which that no longer does. */
const CASES: Record<string, { series: Record<string, string>; change: [string, string] }> = {
  Refusing: {
    series: { 'sluice_answers_total{outcome="unavailable"}': '0+1x60' },
    change: ['> 0', '> 1000'],
  },
  NoIngest: { series: { 'sluice_ingests{release="1"}': '0x60' }, change: ['== 0', '== 2'] },
  NobodyConsumes: {
    series: { 'sluice_oldest_waiting_seconds{via="redis"}': '90x60', 'sluice_workers{release="1"}': '0x60' },
    change: ['> 60', '> 600'],
  },
  Late: { series: { 'sluice_oldest_waiting_seconds{via="inbox"}': '150x60' }, change: ['> 120', '> 600'] },
  CredentialsRefused: {
    series: { 'sluice_answers_total{outcome="unauthorised"}': '0+5x60' },
    change: ['> 10', '> 100'],
  },
  StoreUnsafe: { series: { sluice_unsafe_settings: '1x60' }, change: ['> 0', '> 1'] },
  StoreDown: { series: { 'sluice_store_up{store="redis"}': '0x60' }, change: ['== 0', '== 2'] },
  StoreFull: {
    // It grows by a hundredth in a minute: full in 14 minutes.
    series: { sluice_redis_memory_ratio: '0.27+0.01x60' },
    change: ['1800)) > 1', '1800)) > 10'],
  },
  ReplicaGone: {
    series: { 'sluice_replicas{store="redis",kind="replica"}': '2x30 1x30' },
    change: ['<', '>'],
  },
  DeadLetters: {
    series: { 'sluice_dead_letters{reason="conflict",state="open"}': '1x60' },
    change: ['> 0', '> 1'],
  },
  Silence: {
    series: {
      'sluice_last_event_timestamp_seconds{environment="uae-live"}': '-7200x60',
      'sluice_source_info{environment="uae-live",kind="live"}': '1x60',
    },
    change: ['> 7200', '> 72000'],
  },
  Fallback: {
    series: { 'sluice_enqueued_total{via="inbox"}': '0+1x60', 'sluice_store_up{store="redis"}': '0x60' },
    change: ['> 0', '> 1000'],
  },
  PartitionsMissing: { series: { sluice_partitions_ahead: '2x60' }, change: ['< 3', '< 1'] },
  RetentionBehind: {
    series: { sluice_retention_behind_seconds: '180000x60' },
    change: ['> 172800', '> 200000'],
  },
  Drift: { series: { sluice_drifts: '1x60' }, change: ['> 0', '> 1'] },
  OldRelease: {
    series: { 'sluice_build_info{release="1"}': '1x60', 'sluice_build_info{release="2"}': '1x60' },
    change: ['> 1', '> 2'],
  },
  Watchdog: { series: {}, change: ['> 0', '> 1'] },
}

/** @returns what promtool says if the alert does not fire after an hour */
function failureOf(rule: Rule): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-rules-'))
  const { series } = CASES[rule.alert.replace('Sluice', '')] ?? { series: {} }
  const fires = `count(ALERTS{alertname="${rule.alert}",alertstate="firing"}) > bool 0`
  const test = {
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [{ expr: fires, eval_time: '59m', exp_samples: [{ labels: '{}', value: 1 }] }],
  }
  writeFileSync(join(folder, 'rules.yaml'), stringify({ groups: [{ name: 'sluice', rules: [rule] }] }))
  const file = join(folder, 'test.yaml')
  writeFileSync(file, stringify({ rule_files: ['rules.yaml'], evaluation_interval: '1m', tests: [test] }))
  try {
    execFileSync(promtool, ['test', 'rules', file], { stdio: 'pipe', encoding: 'utf8' })
    return undefined
  } catch (error) {
    return `${(error as { stdout: string }).stdout}${(error as { stderr: string }).stderr}`
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe.skipIf(!promtool)('the rules, as Prometheus reads them', () => {
  it('are valid', () => {
    execFileSync(promtool, ['check', 'rules', join(ROOT, 'deploy/observe/rules.yaml')], { stdio: 'pipe' })
    expect(Object.keys(CASES)).toEqual(rules.map(({ alert }) => alert.replace('Sluice', '')))
  })

  it.each(rules)('$alert fires on its condition, and no longer with another threshold', (rule) => {
    expect(failureOf(rule)).toBeUndefined()
    const [from, to] = CASES[rule.alert.replace('Sluice', '')]?.change ?? ['', '']
    expect(rule.expr).toContain(from)
    expect(failureOf({ ...rule, expr: rule.expr.replace(from, to) })).toContain('FAILED')
  })
})
