import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { consoleSettings } from '@sluice/console'
import { ingestSettings } from '@sluice/ingest'
import { schedulerSettings } from '@sluice/scheduler'
import { isFromFile } from '@sluice/shared/runtime'
import { workerSettings } from '@sluice/worker'
import type * as z from 'zod'

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const CHART = join(ROOT, 'deploy/chart')
const SCHEMA_FILE = 'deploy/chart/values.schema.json'
export const RENDERED_FILE = 'deploy/kubernetes/rendered.yaml'
const HEAD = `# The chart in deploy/chart with its defaults and the Secret \`sluice\`, in the namespace sluice. Made by \`npm run chart\`.
`

/** The chart sets these by itself. */
const BY_THE_CHART = /^(.+_PORT|(LISTEN|PROBES|CONSOLE)_HOST|SHUTDOWN_DELAY_SECONDS|SCHEDULER|ARCHIVE_DIR)$/

/** The names of all settings of processes: those that may come from a file, and those that the chart leaves to you. */
function settingNames(): { secrets: string[]; settings: string[] } {
  const shapes = [ingestSettings, workerSettings, schedulerSettings, consoleSettings].map(
    ({ shape }) => shape,
  )
  const all = Object.entries(Object.assign({}, ...shapes) as Record<string, z.core.$ZodType>)
  const names = (wanted: boolean) =>
    all.flatMap(([name, setting]) => (isFromFile(setting) === wanted ? [name] : [])).sort()
  return { secrets: names(true), settings: names(false).filter((name) => !BY_THE_CHART.test(name)) }
}

/** The settings of further sources, each of which has its name in the middle. */
const ofSources = (what: string) => `^IDWISE_[A-Z0-9_]{1,32}_${what}$`

/** What files of the chart should have that other files of this repository decide, by their paths. */
export function chartFiles(): Record<string, string> {
  const schema = JSON.parse(readFileSync(join(ROOT, SCHEMA_FILE), 'utf8'))
  const { secrets, settings } = settingNames()
  schema.$defs.secretName = { anyOf: [{ enum: secrets }, { pattern: ofSources('CREDENTIALS') }] }
  schema.$defs.settingName = { anyOf: [{ enum: settings }, { pattern: ofSources('ALLOWED_IPS') }] }
  const copies = OBSERVED.map((name) => [
    `deploy/chart/files/${name}`,
    readFileSync(join(ROOT, 'deploy/observe', name), 'utf8'),
  ])
  return { [SCHEMA_FILE]: `${JSON.stringify(schema, undefined, 2)}\n`, ...Object.fromEntries(copies) }
}

/** Files of deploy/observe, which Helm cannot read outside of the chart. */
const OBSERVED = ['rules.yaml', 'dashboard.json']

/**
 * The chart as text.
 *
 * @param args more arguments of Helm
 * @throws Error with what Helm says about wrong values
 */
export function renderChart(helm: string, values: string, args: readonly string[] = []): string {
  const file = join(CHART, 'ci', `${values}-values.yaml`)
  return runHelm(helm, ['template', 'sluice', CHART, '--namespace', 'sluice', '-f', file, ...args])
}

/** The text of RENDERED_FILE. */
export const renderManifests = (helm: string) => HEAD + renderChart(helm, 'existing-secret')

/** What Helm prints after an installation. It needs no cluster for that. */
export const showNotes = (helm: string, values: string) =>
  runHelm(helm, [
    ...['install', 'sluice', CHART, '--dry-run=client'],
    '-f',
    join(CHART, 'ci', `${values}-values.yaml`),
  ])
    .split(/^NOTES:$/m)
    .at(-1) as string

export const lintChart = (helm: string, values: string) =>
  runHelm(helm, ['lint', '--strict', CHART, '-f', join(CHART, 'ci', `${values}-values.yaml`)])

function runHelm(helm: string, args: readonly string[]): string {
  return execFileSync(helm, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
