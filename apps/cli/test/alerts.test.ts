import { run } from '@sluice/testkit/process'
import { createWorld } from '@sluice/testkit/world'
import { expect, it } from 'vitest'

it('an alert is muted by a name that there is, and 0 ends it', async () => {
  await using world = await createWorld('inbox')
  const mute = async (...args: string[]) => {
    await using command = run('apps/cli/src/main.ts', ['alerts', 'mute', ...args], world.env)
    return [await command.exited, command.output()] as const
  }
  const [code, output] = await mute('dead-leters', '1h')
  expect([code, output]).toEqual([1, expect.stringContaining('It must be one of backup-behind, conflict,')])
  expect(await mute('late', '1h')).toEqual([0, expect.stringMatching(/^Nothing is told of late until /)])
  const muted = () => world.rows('select from incidents where muted_until > now()')
  expect(await muted()).toHaveLength(1)
  expect(await mute('late', '0')).toEqual([0, expect.stringMatching(/^People are told of late again/)])
  expect(await muted()).toHaveLength(0)
})
