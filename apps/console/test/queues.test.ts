import { openConsole, VIEWER } from '@sluice/testkit/console'
import { finishedJourney } from '@sluice/testkit/event'
import { createWorld, openDoor } from '@sluice/testkit/world'
import { expect, it } from 'vitest'

it('shows the queues behind the same sign-in, and changes nothing there', async () => {
  await using stack = new AsyncDisposableStack()
  const world = stack.use(await createWorld('redis'))
  const door = stack.use(await openDoor(world))
  expect((await door.post(finishedJourney().bytes)).status).toBe(200)
  const console = stack.use(await openConsole(world))

  expect((await fetch(`${console.url}/queues/api/queues`)).status).toBe(401)
  const page = await console.get('/queues', { as: VIEWER })
  expect(page.status).toBe(200)
  expect(page.headers.get('content-security-policy')).toContain("script-src 'self';")
  const { queues } = await console.json('/queues/api/queues', { as: VIEWER })
  expect(queues.map(({ counts }: { counts: { waiting: number } }) => counts.waiting)).toEqual([1])
  const [{ name }] = queues
  const pause = await console.get(`/queues/api/queues/${encodeURIComponent(name)}/pause`, { method: 'PUT' })
  expect(pause.status).toBe(405)
})

it('says that there are no queues where every event takes the inbox', async () => {
  await using stack = new AsyncDisposableStack()
  const console = stack.use(await openConsole(stack.use(await createWorld('inbox'))))
  expect(await (await console.get('/queues')).text()).toContain('every event takes the inbox')
})
