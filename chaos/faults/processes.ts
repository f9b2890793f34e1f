import { setTimeout as pause } from 'node:timers/promises'
import type { Member } from '@sluice/testkit/fleet'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

/** Ends one member after the other, at random gaps, each while the others serve. */
async function endInTurn(
  world: World,
  members: readonly Member[],
  options: { seconds: number; signal: NodeJS.Signals; everyMs: readonly [number, number] },
): Promise<void> {
  const [shortest, longest] = options.everyMs
  const until = Date.now() + options.seconds * 1000
  for (let i = 0; Date.now() < until; i++) {
    const member = members[i % members.length] as Member
    await allUp(world).catch(() => {})
    // The balancer needs a moment to see that they are ready.
    if (member.role === 'ingest') await pause(500)
    const how = await member.end(options.signal)
    world.trace(options.signal === 'SIGKILL' ? 'killed' : 'stopped')
    if (options.signal !== 'SIGKILL' && how !== 0)
      throw new Error(`a stopped ${member.role} ended with ${how}`)
    await pause(shortest + world.random.below(longest - shortest))
  }
}

export const processFaults: readonly Fault[] = [
  {
    id: 'F34',
    name: 'workers killed (kill -9), one every 0.7 to 1.4 s for 10 s',
    seconds: 11,
    inject: (world) =>
      endInTurn(world, world.fleet.workers(), { seconds: 10, signal: 'SIGKILL', everyMs: [700, 1_400] }),
    heal: allUp,
    effect: { killed: 4, restarts: 4 },
  },
  {
    id: 'F36',
    name: 'workers stopped (SIGTERM) in turn for 8 s',
    seconds: 9,
    inject: (world) =>
      endInTurn(world, world.fleet.workers(), { seconds: 8, signal: 'SIGTERM', everyMs: [300, 600] }),
    heal: allUp,
    effect: { stopped: 3, restarts: 3 },
  },
  {
    id: 'F41',
    mayFail: true,
    name: 'ingests killed (kill -9) in turn for 15 s',
    seconds: 16,
    inject: (world) =>
      endInTurn(world, world.fleet.ingests(), { seconds: 15, signal: 'SIGKILL', everyMs: [50, 250] }),
    heal: allUp,
    effect: { killed: 5, restarts: 5, redelivered: 5 },
  },
  {
    id: 'F42',
    name: 'ingests stopped (SIGTERM) in turn for 15 s',
    seconds: 16,
    inject: (world) =>
      endInTurn(world, world.fleet.ingests(), { seconds: 15, signal: 'SIGTERM', everyMs: [600, 900] }),
    heal: allUp,
    effect: { stopped: 3, restarts: 3 },
  },
]

async function allUp({ fleet }: World): Promise<void> {
  await Promise.all(fleet.members.map((member) => member.up()))
}
