import type { Results } from './measure.ts'

/** A figure with an aim: a ratio to the figure of a peer in the same run, or a size. */
export type Ratio = {
  readonly name: string
  readonly value: number
  readonly aim: number
  readonly direction: 'at least' | 'at most'
}

const CPU_RATE = 2_000

/** Leaves out the ratios whose parts were not measured. */
export function ratiosOf(results: Results): Ratio[] {
  const paired = (id: string) => results.answers.find((each) => each.id === id)
  const relative = (id: string) => paired(id)?.perSecondRatio
  const cpu = (id: string) => paired(id)?.cpuRatios.find(({ rate }) => rate === CPU_RATE)?.ratio
  const landing = (id: string) =>
    results.landing.find((each) => each.id === id && each.workers === 1)?.perSecond
  const flat = (id: string) => results.flat.find((each) => each.id === id)
  const bytes = results.redisBytes.find(({ id }) => id === 'S')
  const backlog = (id: string) => results.backlog.find((each) => each.id === id)
  const grown = (id: string) => {
    const own = results.growth.filter((each) => each.id === id)
    return own.length > 1 ? over(own.at(-1)?.perSecond, own[0]?.perSecond) : undefined
  }
  const memory = (id: string) => {
    const own = backlog(id)
    return own && Math.max(own.ingestMemory, own.workerMemory)
  }
  const p99 = (id: string) => over(flat(id)?.halfP99, flat(id)?.bareHalfP99)
  const all: (Ratio | undefined)[] = [
    atLeast('answers S/A', relative('S'), 0.7),
    atLeast('answers S/C', over(relative('S'), relative('C')), 1),
    atLeast('answers P/A', relative('P'), 0.55),
    atLeast('answers P/B', over(relative('P'), relative('B')), 1.5),
    atMost('ingest CPU S/A at 2,000/s', cpu('S'), 1.6),
    atMost('ingest CPU P/A at 2,000/s', cpu('P'), 2),
    atLeast('landing S/C', over(landing('S'), landing('C')), 2.2),
    atLeast('landing S/no-op worker', over(landing('S'), landing('N')), 0.75),
    atLeast('landing P/C', over(landing('P'), landing('C')), 3),
    atLeast('landing P/D', over(landing('P'), landing('D')), 2),
    atLeast('flat rate S/C', over(flat('S')?.rate, flat('C')?.rate), 1.5),
    atLeast('flat rate P/C', over(flat('P')?.rate, flat('C')?.rate), 2),
    atLeast('flat rate P/D', over(flat('P')?.rate, flat('D')?.rate), 6),
    atMost('p99 at half the flat rate S/A', p99('S'), 3),
    atMost('p99 at half the flat rate P/A', p99('P'), 5),
    atMost('Redis bytes per waiting event', bytes?.waiting, 1_000),
    atMost('Redis bytes per finished event', bytes?.finished, 600),
    atLeast('landing with 10 million events present S', grown('S'), 0.85),
    atLeast('landing with 10 million events present P', grown('P'), 0.85),
    atLeast('answers with 500,000 waiting S', backlog('S')?.ratio, 0.9),
    atLeast('answers with 500,000 waiting P', backlog('P')?.ratio, 0.9),
    atMost('memory with 500,000 waiting S, MB', memory('S'), 300),
    atMost('memory with 500,000 waiting P, MB', memory('P'), 300),
  ]
  return all.filter((ratio) => ratio !== undefined)
}

export function isReached({ value, aim, direction }: Ratio): boolean {
  return direction === 'at least' ? value >= aim : value <= aim
}

function over(value: number | undefined, other: number | undefined): number | undefined {
  return value === undefined || !other ? undefined : value / other
}

function atLeast(name: string, value: number | undefined, aim: number): Ratio | undefined {
  return value === undefined ? undefined : { name, value, aim, direction: 'at least' }
}

function atMost(name: string, value: number | undefined, aim: number): Ratio | undefined {
  return value === undefined ? undefined : { name, value, aim, direction: 'at most' }
}
