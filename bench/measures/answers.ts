import { candidate, startIngest } from '../candidates.ts'
import { failed } from '../load.ts'
import { cpuSeconds, median } from '../machine.ts'
import type { Plan } from '../plan.ts'
import type { World } from '../world.ts'

/** An ingest alone: how fast it can answer, and how much CPU an answer costs at a steady rate. */
type Answers = {
  /** Answers a second at saturation: 256 connections, each of which sends when it is answered. */
  readonly perSecond: number
  /** ms, at saturation. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly steady: readonly Steady[]
}

/** At a fixed rate, by an open loop. */
type Steady = {
  /** Events a second. */
  readonly rate: number
  /** CPU of the ingest process per event, µs, without the stores. */
  readonly cpuMicros: number
  /** ms, from the intended time of sending. */
  readonly p99: number
}

export type Paired = {
  readonly id: string
  readonly own: Answers
  /** Of the bare server, measured in turn with the candidate. */
  readonly bare: Answers
  /** Medians over the rounds of the ratio to the bare server. */
  readonly perSecondRatio: number
  readonly cpuRatios: readonly { readonly rate: number; readonly ratio: number }[]
}

/** Measures each candidate in turn with the bare server: a machine that changes its speed changes both. */
export async function measureAnswers(
  world: World,
  ids: readonly string[],
  { answerRounds, seconds, steadyRates }: Plan,
  report: (line: string) => void,
): Promise<Paired[]> {
  const results: Paired[] = []
  for (const id of ids) {
    report(`answers: ${id}`)
    await world.clear()
    await using bare = await startIngest(candidate('A'), world)
    await using own = await startIngest(candidate(id), world)
    const pairs: { bare: Answers; own: Answers }[] = []
    for (let round = 0; round < answerRounds; round++) {
      pairs.push({
        bare: await measure(world, bare, seconds, steadyRates),
        own: await measure(world, own, seconds, steadyRates),
      })
    }
    results.push({
      id,
      own: medians(pairs.map((pair) => pair.own)),
      bare: medians(pairs.map((pair) => pair.bare)),
      perSecondRatio: median(pairs.map((pair) => pair.own.perSecond / pair.bare.perSecond)),
      cpuRatios: steadyRates.map((rate, at) => ({
        rate,
        ratio: median(pairs.map(({ own, bare }) => cpuAt(own, at) / cpuAt(bare, at))),
      })),
    })
  }
  return results
}

const cpuAt = ({ steady }: Answers, at: number) => steady[at]?.cpuMicros ?? Number.NaN

async function measure(
  world: World,
  ingest: { pid: number; port: number },
  seconds: number,
  rates: readonly number[],
): Promise<Answers> {
  const full = await world.send(ingest.port, { seconds })
  if (failed(full) > 0) throw new Error(`answers other than 200: ${JSON.stringify(full)}`)
  const steady: Steady[] = []
  for (const rate of rates) {
    const before = cpuSeconds(ingest.pid)
    const sent = await world.send(ingest.port, { seconds, rate })
    const cpu = cpuSeconds(ingest.pid) - before
    steady.push({ rate, cpuMicros: (cpu * 1e6) / (seconds * sent.perSecond), p99: sent.p99 })
  }
  const { perSecond, p50, p99, p999 } = full
  return { perSecond, p50, p99, p999, steady }
}

function medians(all: readonly Answers[]): Answers {
  const of = (read: (answers: Answers) => number) => median(all.map(read))
  return {
    perSecond: of(({ perSecond }) => perSecond),
    p50: of(({ p50 }) => p50),
    p99: of(({ p99 }) => p99),
    p999: of(({ p999 }) => p999),
    steady: (all[0]?.steady ?? []).map(({ rate }, at) => ({
      rate,
      cpuMicros: of((answers) => cpuAt(answers, at)),
      p99: of(({ steady }) => steady[at]?.p99 ?? Number.NaN),
    })),
  }
}
