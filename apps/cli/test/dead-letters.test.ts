import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { PROGRAMS, run } from '@sluice/testkit/process'
import { createWorld, eventually, openWorker, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createProgram } from '../src/program.ts'

const stack = new AsyncDisposableStack()
let world: World
beforeAll(async () => {
  world = stack.use(await createWorld('inbox'))
  const bodies = Array.from({ length: 6 }, () => finishedJourney().bytes)
  await bury(world, bodies, { message: 'column too narrow' })
  await bury(world, bodies.slice(0, 1), { reason: 'unreadable' })
})
afterAll(() => stack.disposeAsync())

async function sluice(...args: string[]) {
  const command = run(PROGRAMS.cli, args, world.env)
  return { code: await command.exited, output: command.output() }
}

it('a group is found, and replayed with a sample that waits for a person', async () => {
  const groups = await sluice('dead', 'groups')
  expect(groups.output).toMatch(/^7 open dead letters in 2 groups/)
  const [, group = ''] = /^([0-9a-f]{16}) {2}6 letters of 6 journeys/m.exec(groups.output) ?? []

  const replay = ['dead', 'replay', '--group', group, '--reason', 'wider now', '--actor', 'Ada']
  const shown = await sluice(...replay)
  expect([shown.code, shown.output]).toEqual([
    1,
    expect.stringMatching(/replay: 6 open dead letters of group/),
  ])
  expect(shown.output).toMatch(/landed[\s\S]*stage: - → finished[\s\S]*add --yes --expected 6/)
  const how = ['--yes', '--expected', '6', '--sample', '2', '--rate', '50', '--stop-after', '3']
  const started = await sluice(...replay, ...how)
  expect([started.code, started.output]).toEqual([0, expect.stringMatching(/^Operation 1 has started: 6 /)])

  stack.use(await openWorker(world))
  const becomes = (state: string) =>
    eventually(async () => (await world.rows('select state from operations'))[0]?.state === state, 30_000)
  await becomes('waiting_for_go')
  expect((await sluice('operations', 'go', '1')).output).toBe('Operation 1: go.\n')
  await becomes('done')
}, 120_000)

it.each([
  [['dead', 'discard'], /Name the dead letters/],
  [['dead', 'discard', '7', '--environment', 'live'], /not both/],
  [['dead', 'discard', '--group', 'x'], /fingerprint is no group of dead letters/],
])('%j says what is missing, and does nothing', async (args, words) => {
  await expect(createProgram().parseAsync(args, { from: 'user' })).rejects.toThrow(words)
})
