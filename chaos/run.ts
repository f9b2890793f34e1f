import { setTimeout as pause } from 'node:timers/promises'
import { describeError } from '@sluice/shared/runtime'
import type { Summary } from '@sluice/simulator'
import { type Checked, check } from './check.ts'
import type { Evidence } from './evidence.ts'
import type { Fault } from './faults/fault.ts'
import { type Load, startLoad } from './load.ts'
import { awaitRecovery, drain, type Recovery } from './recovery.ts'
import { createWorld, type World } from './world.ts'

export type RunOptions = {
  readonly seed: number
  /** New events a second. */
  readonly rate: number
  /** The load lasts at least so long. */
  readonly minutes: number
  /** For the tests of this check: changes that Sluice knows nothing of. */
  readonly sabotage?: Sabotage
}

type Sabotage = {
  afterMigration?(world: World): Promise<unknown>
  beforeCheck?(world: World): Promise<unknown>
}

export type Result = { readonly id: string; readonly name: string } & (
  | { readonly kind: 'impossible'; readonly reason: string }
  | {
      readonly kind: 'ran'
      readonly seed: number
      readonly acknowledged: number
      /** By status. */
      readonly refused: Readonly<Record<string, number>>
      readonly evidence: Evidence
      readonly recoveryMs: number | undefined
      readonly lost: number
      readonly twice: number
      readonly healthyDead: number
      /** The counts that show the effect of the fault. */
      readonly effect: string
      /** Empty if every invariant held. */
      readonly problems: readonly string[]
      readonly seconds: number
      readonly postgresVersion: string
    }
)

const WARM_UP_SECONDS = 2
/** A delivery whose add timed out may be counted by the queue and by the inbox (decision 1). More is a fault. */
const COUNTED_BY_BOTH_WAYS = 3
const OVERCOUNT = /^counted \d+ times more than sent/
const AFTER_HEALING_SECONDS = 3
const NO_ANSWER = ['timed_out', 'broken', 'cut', 'hung_up']
/** Outcomes that are no failure: the simulator breaks off some requests on purpose. */
const NO_FAILURE = ['200', 'cut', 'hung_up']

/** Runs one fault in a new world: load, fault, healing, recovery, draining, check. */
export async function runFault(fault: Fault, options: RunOptions): Promise<Result> {
  const { id, name } = fault
  const reason = fault.impossible?.()
  if (reason !== undefined) return { id, name, kind: 'impossible', reason }
  const began = Date.now()
  await using world = await createWorld(fault.world ?? {}, options.seed)
  await options.sabotage?.afterMigration?.(world)
  const problems: string[] = []
  const { load, recovery } = await hurt(fault, world, options, problems)
  const summary = await load.sent
  const left = await drain(world)
  if (left > 0) problems.push(`${left} events still wait`)
  await options.sabotage?.beforeCheck?.(world)
  const checked = await check(world, load, recovery.probes)

  const evidence = evidenceOf(world, summary, checked)
  const effect = Object.entries(fault.effect).map(([what, least]) => {
    const count = { ...world.traces, ...evidence }[what as keyof Evidence] ?? 0
    if (count < least) problems.push(`it took no effect: ${what} ${count}, not ${least}`)
    return `${what} ${count}`
  })
  problems.push(...violations(world, checked, recovery, fault.mayOvercount ?? false))
  if (!fault.mayFail) problems.push(...failures(summary))
  return {
    id,
    name,
    kind: 'ran',
    seed: options.seed,
    acknowledged: checked.report.acknowledged,
    refused: statuses(summary),
    evidence,
    recoveryMs: recovery.ms,
    lost: checked.report.missing,
    twice: checked.report.landedTwice,
    healthyDead: checked.report.deadLetters,
    effect: effect.join(', '),
    problems,
    seconds: Math.round((Date.now() - began) / 1000),
    postgresVersion: (await world.db.pool.query('show server_version')).rows[0].server_version,
  }
}

async function hurt(
  fault: Fault,
  world: World,
  { seed, rate, minutes }: RunOptions,
  problems: string[],
): Promise<{ load: Load; recovery: Recovery }> {
  const failed = (what: string) => (error: unknown) =>
    void problems.push(`${what} failed: ${describeError(error).message}`)
  const seconds = Math.max(minutes * 60, WARM_UP_SECONDS + fault.seconds + AFTER_HEALING_SECONDS)
  const begin = async () => {
    await world.startProcesses()
    return startLoad(world, { seed: `${fault.id} ${seed}`, rate: rate * (fault.times ?? 1), seconds })
  }
  let load: Load
  if (fault.beforeStart) {
    const injecting = fault.inject(world).catch(failed('injecting'))
    load = await begin()
    await injecting
  } else {
    load = await begin()
    await pause(WARM_UP_SECONDS * 1000)
    await fault.inject(world).catch(failed('injecting'))
  }
  await fault.heal(world).catch(failed('healing'))
  return { load, recovery: await awaitRecovery(world, rate / 2) }
}

function evidenceOf(
  { fleet }: World,
  summary: Summary,
  { viaRedis, viaInbox, duplicates }: Checked,
): Evidence {
  const ambiguous = NO_ANSWER.reduce((sum, name) => sum + (summary.answers[name] ?? 0), 0)
  return {
    viaRedis,
    viaInbox,
    duplicates,
    refused: Object.values(statuses(summary)).reduce((sum, count) => sum + count, 0),
    ambiguous,
    redelivered: summary.redelivered,
    restarts: fleet.restarts,
    waited: fleet.logged(/Postgres cannot be used; events wait/),
    fellBack: fleet.logged(/Redis fails; events go to the inbox/),
  }
}

/** How many requests failed, by status or by the way they failed, but for those that may have arrived. */
function statuses({ answers }: Summary): Record<string, number> {
  const refused = Object.entries(answers).filter(([name]) => name !== '200' && !NO_ANSWER.includes(name))
  return Object.fromEntries(refused)
}

/** While one store is down, the sender must notice nothing. */
function failures({ answers }: Summary): string[] {
  return Object.entries(answers).flatMap(([name, count]) =>
    NO_FAILURE.includes(name) ? [] : [`requests that failed (${name}): ${count}`],
  )
}

function violations(
  { fleet }: World,
  { report, strangers, viaInbox }: Checked,
  { ms }: Recovery,
  mayOvercount: boolean,
): string[] {
  // Decision 1: a delivery of its own job may be counted again if its worker was killed after the commit.
  const byDeath = fleet.restarts
  const byBothWays = viaInbox > 0 ? COUNTED_BY_BOTH_WAYS : 0
  const uncertain = mayOvercount ? Number.POSITIVE_INFINITY : byBothWays + byDeath
  const counts = {
    'acknowledged but lost': report.missing,
    'landed twice': report.landedTwice,
    'bytes differ': report.mismatched,
    'rows nobody sent': report.nobodySent,
    'journeys that differ': report.journeysDiffering,
    'healthy events in dead_letters': report.deadLetters,
    'deliveries counted that nobody sent': report.overcounted > uncertain ? report.overcounted : 0,
    'altered lines of the ledger': report.alteredLines.length,
  }
  return [
    ...Object.entries(counts).flatMap(([what, count]) => (count > 0 ? [`${what}: ${count}`] : [])),
    ...(report.ledgerEnds ? [] : ['the ledger breaks off']),
    ...(report.acknowledged > 0 ? [] : ['nothing was acknowledged']),
    ...(ms === undefined ? ['no recovery within two minutes'] : []),
    ...strangers.map((what) => `without credentials: ${what}`),
    ...fleet.crashes,
    ...report.findings
      .filter((finding) => report.overcounted > uncertain || !OVERCOUNT.test(finding))
      .slice(0, 5),
  ]
}
