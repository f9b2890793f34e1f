import { fillTables } from '../fill.ts'
import { median } from '../machine.ts'
import type { World } from '../world.ts'
import { measureLanding } from './landing.ts'

/** Landing into tables that already have many events and journeys. */
export type Growth = { readonly id: string; readonly present: number; readonly perSecond: number }

/**
 * Measures landing at each size, and without rows before and afterwards, because a machine changes its speed. Each
 * round empties the queue, but not the tables.
 */
export async function measureGrowth(
  world: World,
  ids: readonly string[],
  { sizes, backlog, rounds }: { sizes: readonly number[]; backlog: number; rounds: number },
  report: (line: string) => void,
): Promise<Growth[]> {
  const rates = new Map<string, number[]>()
  async function measure(present: number): Promise<void> {
    for (const id of ids) {
      const own = rates.get(`${id} ${present}`) ?? []
      rates.set(`${id} ${present}`, own)
      for (let round = 0; round < rounds; round++) {
        report(`landing with ${present} events present: ${id}, round ${round + 1}`)
        own.push((await measureLanding(world, id, { count: backlog, keep: true })).perSecond)
      }
    }
  }
  await world.clear()
  await measure(0)
  let present = 0
  for (const size of sizes) {
    await fillTables(world.db, { from: present, to: size, most: sizes.at(-1) ?? size }, report)
    present = size
    await measure(size)
  }
  await world.clear()
  await measure(0)
  return [0, ...sizes].flatMap((size) =>
    ids.map((id) => ({ id, present: size, perSecond: median(rates.get(`${id} ${size}`) ?? []) })),
  )
}
