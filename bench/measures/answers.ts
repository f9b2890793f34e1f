import { candidate, startIngest } from '../candidates.ts'
import { failed, send } from '../load.ts'
import { cpuSeconds, median } from '../machine.ts'
import type { Plan } from '../plan.ts'
import type { World } from '../world.ts'

/** An ingest alone: how fast it answers at most, and what an answer costs it at a steady rate. */
export type Answers = {
  /** A second, at saturation: 64 connections, each sending as soon as it is answered. */
  readonly perSecond: number
  /** ms, at saturation. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
  /** CPU of the ingest process per event at the steady rate, µs; the stores' is not in it. */
  readonly cpuMicros: number
  /** ms, at the steady rate, from the intended time of sending. */
  readonly steadyP99: number
}

export type Paired = {
  readonly id: string
  readonly own: Answers
  /** Of the bare server, measured in turn with it. */
  readonly bare: Answers
  /** Medians of the ratios of the rounds, own to bare. */
  readonly perSecondRatio: number
  readonly cpuRatio: number
}

const STEADY_RATE = 1_000

/** Each candidate in turn with the bare server, round by round, so that a machine that changes its speed changes both. */
export async function measureAnswers(
  world: World,
  ids: readonly string[],
  { rounds, seconds }: Plan,
  report: (line: string) => void,
): Promise<Paired[]> {
  const results: Paired[] = []
  for (const id of ids) {
    report(`answers: ${id}`)
    await world.clear()
    await using bare = await startIngest(candidate('A'), world)
    await using own = await startIngest(candidate(id), world)
    const pairs: { bare: Answers; own: Answers }[] = []
    for (let round = 0; round < rounds; round++) {
      pairs.push({ bare: await measure(bare, seconds), own: await measure(own, seconds) })
    }
    results.push({
      id,
      own: medians(pairs.map((pair) => pair.own)),
      bare: medians(pairs.map((pair) => pair.bare)),
      perSecondRatio: median(pairs.map((pair) => pair.own.perSecond / pair.bare.perSecond)),
      cpuRatio: median(pairs.map((pair) => pair.own.cpuMicros / pair.bare.cpuMicros)),
    })
  }
  return results
}

async function measure(ingest: { pid: number; port: number }, seconds: number): Promise<Answers> {
  const full = await send(ingest.port, { seconds })
  if (failed(full) > 0) throw new Error(`answers other than 200: ${JSON.stringify(full)}`)
  const before = cpuSeconds(ingest.pid)
  const steady = await send(ingest.port, { seconds, rate: STEADY_RATE })
  const cpu = cpuSeconds(ingest.pid) - before
  const { perSecond, p50, p99, p999 } = full
  return {
    perSecond,
    p50,
    p99,
    p999,
    cpuMicros: (cpu * 1e6) / (seconds * STEADY_RATE),
    steadyP99: steady.p99,
  }
}

function medians(all: readonly Answers[]): Answers {
  const of = (name: keyof Answers) => median(all.map((answers) => answers[name]))
  return {
    perSecond: of('perSecond'),
    p50: of('p50'),
    p99: of('p99'),
    p999: of('p999'),
    cpuMicros: of('cpuMicros'),
    steadyP99: of('steadyP99'),
  }
}
