import { openCollector } from '@sluice/testkit/collector'
import { candidate, startIngest } from '../candidates.ts'
import { failed } from '../load.ts'
import { cpuSeconds, median } from '../machine.ts'
import type { World } from '../world.ts'

/** CPU of the ingest per event, µs at 2,000 events a second: without traces, and with those of one event in 100. */
export type TraceCost = {
  readonly without: number
  readonly traced: number
  /** Median of the rounds: traced / without. */
  readonly ratio: number
  /** How many spans the collector has received, of so many events. */
  readonly spans: number
  readonly events: number
}

const RATE = 2_000
const WARM_UP_SECONDS = 5
/** The CPU of a process is known to 10 ms. */
const SECONDS = 8

/** Measures an ingest without traces and one with them in turn, on the same stores. */
export async function measureTraces(world: World, rounds: number): Promise<TraceCost> {
  await world.clear()
  await using collector = await openCollector()
  const start = (env: Record<string, string>) =>
    startIngest(candidate('S'), { ...world, env: { ...world.env, ...env } })
  await using without = await start({})
  await using traced = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint })
  let events = 0

  async function measure({ pid, port }: { pid: number; port: number }, seconds = SECONDS): Promise<number> {
    const before = cpuSeconds(pid)
    const sent = await world.send(port, { seconds, rate: RATE })
    if (failed(sent) > 0) throw new Error(`answers other than 200: ${JSON.stringify(sent)}`)
    if (pid === traced.pid) events += sent.perSecond * seconds
    return ((cpuSeconds(pid) - before) * 1e6) / (seconds * sent.perSecond)
  }

  for (const ingest of [without, traced]) await measure(ingest, WARM_UP_SECONDS)
  const measured: { without: number; traced: number }[] = []
  for (let round = 0; round < rounds; round++) {
    await world.clear()
    // The second of two may profit from the first, or suffer from it.
    if (round % 2 === 0) measured.push({ without: await measure(without), traced: await measure(traced) })
    else {
      const last = await measure(traced)
      measured.push({ traced: last, without: await measure(without) })
    }
  }
  return {
    without: median(measured.map((each) => each.without)),
    traced: median(measured.map((each) => each.traced)),
    ratio: median(measured.map((each) => each.traced / each.without)),
    spans: collector.spans.length,
    events,
  }
}
