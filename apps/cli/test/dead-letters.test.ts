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
  expect(shown.output).toMatch(/would land[\s\S]*stage: - → finished/)
  const how = ['--sample', '2', '--rate', '50', '--stop-after', '3']
  const unbound = await sluice(...replay, ...how, '--yes')
  expect([unbound.code, unbound.output]).toEqual([
    1,
    expect.stringMatching(
      /first 2 go as a sample[\s\S]*50 a second[\s\S]*3 have failed[\s\S]*--yes needs --expected/,
    ),
  ])
  expect(unbound.output).toContain(
    `To do it: npx sluice dead replay --group ${group} --sample 2 --stop-after 3 --rate 50 --actor Ada --reason 'wider now' --yes --expected 6\n`,
  )
  expect(await world.rows('select from operations')).toEqual([])
  const started = await sluice(...replay, ...how, '--yes', '--expected', '6')
  expect([started.code, started.output]).toEqual([0, expect.stringMatching(/^Operation 1 has started: 6 /)])

  stack.use(await openWorker(world))
  const becomes = (state: string) =>
    eventually(async () => (await world.rows('select state from operations'))[0]?.state === state, 30_000)
  await becomes('waiting_for_go')
  expect((await sluice('operations', 'go', '1')).output).toBe('Operation 1: go.\n')
  await becomes('done')
}, 120_000)

it('one letter is discarded by its number, without a reason as scripts do it', async () => {
  const shown = await sluice('dead', 'show', '7')
  expect(shown.output).toMatch(
    /state +open[\s\S]*Failures, the newest first:\n {2}\S+ {2}unreadable: value too long/,
  )
  expect((await sluice('dead', 'discard', '7')).output).toBe('7: discarded.\n')
})

it('an operation that there is not ends the command', async () => {
  const undo = await sluice('dead', 'undo', '--operation', '99')
  expect([undo.code, undo.output]).toEqual([1, 'There is no operation 99.\n'])
})

it('if all that were tried would fail again, it says so before the command', async () => {
  await bury(world, ['no JSON'], { reason: 'unreadable', environment: 'sandbox' })
  await world.rows(`update dead_letters set envelope = 'broken' where environment = 'sandbox'`)
  const { output } = await sluice('dead', 'replay', '--environment', 'sandbox')
  expect(output).toMatch(
    /: fails: [\s\S]*\nAll that were tried would fail again: mend the cause first\.\nTo do it: /,
  )
})

it.each([
  [['dead', 'discard'], /Name the dead letters/],
  [['dead', 'discard', '7', '--environment', 'live'], /not both/],
  [['dead', 'discard', '--group', 'x'], /fingerprint is no group of dead letters/],
])('%j says what is missing, and does nothing', async (args, words) => {
  await expect(createProgram().parseAsync(args, { from: 'user' })).rejects.toThrow(words)
})
