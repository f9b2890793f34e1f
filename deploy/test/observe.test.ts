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
import { dashboardText } from '../observe/dashboard.ts'
import { rulesText } from '../observe/rules.ts'
import { CASES, type Values } from './rule-cases.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
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
  expect(
    named.map((name) => name.replace(/_(bucket|sum|count)$/, '')).filter((name) => !names.includes(name)),
  ).toEqual([])
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

it('every alert has its runbook, at an address that can be opened from anywhere', () => {
  const headings = [...read('docs/runbooks.md').matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)
  for (const { alert, annotations } of rules) {
    const [page, heading] = (annotations.runbook_url as string).split('#')
    expect(page).toBe('https://github.com/sluice-dev/sluice/blob/main/docs/runbooks.md')
    expect(headings).toContain(heading)
    expect(heading).toBe(alert === 'SluicePatienceRunsOut' ? 'refusing' : kebab(alert))
  }
})

const caseOf = (rule: Rule) => CASES[rule.alert.replace('Sluice', '')] as (typeof CASES)[string]

/** All is well for ten minutes, bad for so many, and well again until 59 minutes are over. */
function course(values: Values, badMinutes: number): string {
  const after = 50 - badMinutes
  if ('perMinute' in values) {
    const end = values.perMinute * badMinutes
    return `0x9 ${values.perMinute}+${values.perMinute}x${badMinutes - 1}${after > 0 ? ` ${end}x${after - 1}` : ''}`
  }
  const well = (minutes: number) => `${values.well ?? '_'}x${minutes}`
  const stale = values.well === null ? 'stale ' : ''
  return `${well(9)} ${values.bad}x${badMinutes - 1}${after > 0 ? ` ${stale}${well(after - 1)}` : ''}`
}

/** What promtool says if `expr` has not `count` results at the end of `series`, else undefined. */
function failureOf(
  some: readonly Rule[],
  { series, expr, count, at = '59m' }: { series: object; expr: string; count: number; at?: string },
): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-rules-'))
  const test = {
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      { expr: `count(${expr}) or vector(0)`, eval_time: at, exp_samples: [{ labels: '{}', value: count }] },
    ],
  }
  writeFileSync(join(folder, 'rules.yaml'), stringify({ groups: [{ name: 'sluice', rules: some }] }))
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

const seriesOf = (rule: Rule, badMinutes: number) =>
  Object.fromEntries(
    Object.entries(caseOf(rule).series).map(([name, values]) => [name, course(values, badMinutes)]),
  )
const isFiring = ({ alert }: Rule) => `ALERTS{alertname="${alert}",alertstate="firing"}`
const everIn = ({ alert }: Rule, state: string) =>
  `count_over_time(ALERTS{alertname="${alert}",alertstate="${state}"}[1h])`
const minutes = (rule: Rule) => Number.parseInt(rule.for, 10)

describe.skipIf(!promtool)('the rules, as Prometheus reads them', () => {
  it('are valid', () => {
    execFileSync(promtool, ['check', 'rules', join(ROOT, 'deploy/observe/rules.yaml')], { stdio: 'pipe' })
    expect(Object.keys(CASES)).toEqual(rules.map(({ alert }) => alert.replace('Sluice', '')))
  })

  it.each(rules)('$alert fires on its condition, and no longer with another threshold', (rule) => {
    const test = { series: seriesOf(rule, 50), expr: isFiring(rule), count: 1 }
    expect(failureOf([rule], test)).toBeUndefined()
    const [from, to] = caseOf(rule).change
    expect(rule.expr).toContain(from)
    expect(failureOf([{ ...rule, expr: rule.expr.replace(from, to) }], test)).toContain('FAILED')
  })

  it.each(rules.filter((rule) => minutes(rule) > 0))('$alert waits, and a blip is no alert', (rule) => {
    const series = seriesOf(rule, Math.max(1, minutes(rule) - (rule.expr.includes('[5m]') ? 4 : 0)))
    expect(failureOf([rule], { series, expr: everIn(rule, 'pending'), count: 1 })).toBeUndefined()
    expect(failureOf([rule], { series, expr: everIn(rule, 'firing'), count: 0 })).toBeUndefined()
  })

  it('but for the watchdog none fires while all is well', () => {
    const well = Object.values(CASES).flatMap(({ series }) =>
      Object.entries(series).flatMap(([name, values]) => {
        const value = 'perMinute' in values ? 0 : values.well
        return value === null ? [] : [[name, `${value}x59`]]
      }),
    )
    const traffic = ['live', 'uae-live'].map((environment) => [
      `sluice_answers_total{outcome="accepted",environment="${environment}"}`,
      '0+7x59',
    ])
    // Anybody may try addresses.
    const strangers = ['sluice_answers_total{outcome="unauthorised",environment="none"}', '0+9x59']
    const series = Object.fromEntries([...well, ...traffic, strangers])
    const ever = 'count_over_time(ALERTS{alertname!="SluiceWatchdog"}[1h])'
    expect(failureOf(rules, { series, expr: ever, count: 0 })).toBeUndefined()
  })

  it.each([
    ['half an hour is too long where an event came each minute a week ago', '0+60x10080 604800x40', 40, 1],
    ['an hour is usual where it was so a week ago', '0+0x60 3600+60x10020 604800x60', 60, 0],
  ])('a source is silent by its own measure: %s', (_what, values, later, count) => {
    const [rule] = rules.filter(({ alert }) => alert === 'SluiceSilence') as [Rule]
    const series = {
      'sluice_last_event_timestamp_seconds{environment="live"}': values,
      'sluice_source_info{environment="live",kind="live"}': `1x${10_080 + later}`,
    }
    expect(failureOf([], { series, expr: rule.expr, count, at: `${10_080 + later}m` })).toBeUndefined()
  })
})
