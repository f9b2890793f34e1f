import { type Page, screenshot, startBrowser } from '@sluice/testkit/browser'
import { openConsole } from '@sluice/testkit/console'
import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { program } from '@sluice/testkit/programs'
import { startProxy } from '@sluice/testkit/proxy'
import { createWorld, eventually, openDoor, openWorker } from '@sluice/testkit/world'
import { expect, it } from 'vitest'
import { pauseMs } from '../src/live.ts'

const chromium = program('chromium')

it.skipIf(!chromium)(
  'a live page says that Postgres is away, keeps what it shows, and goes on by itself',
  async () => {
    await using world = await createWorld('inbox')
    const address = new URL(world.databaseUrl)
    const { port } = address
    await using proxy = await startProxy(() => Number(port || 5432))
    Object.assign(address, { hostname: '127.0.0.1', port: String(proxy.port) })
    await using console = await openConsole(world, { databaseUrl: address.href, readUrl: address.href })
    await using browser = await startBrowser(chromium as string)
    await using door = await openDoor(world)
    await using _worker = await openWorker(world)
    const post = () => door.post(finishedJourney().bytes as Buffer<ArrayBuffer>)
    const ids = await bury(world, [finishedJourney().bytes, finishedJourney().bytes])
    await post()
    const asked = { kind: 'replay', filter: { ids }, expected: 2, sample: 1, reason: 'made up' }
    const { id } = await console.json('/api/v1/operations', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(asked),
    })
    const operation = `/operations/${id}`
    await eventually(
      async () => (await console.json(`/api/v1${operation}`)).state === 'waiting_for_go',
      30_000,
    )

    const first = await browser.signIn(console.url)
    const pages: [name: string, page: Page][] = [
      ['operation', first],
      ['events', await first.context().newPage()],
    ]
    for (const [name, page] of pages) {
      await page.goto(console.url + (name === 'events' ? '/events' : operation))
      expect(await page.locator('#away').isVisible()).toBe(false)
    }
    await proxy.set({ kind: 'refuse' })
    for (const [name, page] of pages) {
      const before = await page.textContent('h1')
      await page.locator('#away').waitFor({ state: 'visible' })
      expect(await page.textContent('#away')).toMatch(
        /^The database does not answer\. What you see is as of before\./,
      )
      expect(await page.textContent('h1')).toBe(before)
      await screenshot(page, `${name}-away`)
    }
    await proxy.set({ kind: 'pass' })
    for (const [, page] of pages) await page.locator('#away').waitFor({ state: 'hidden' })
    await post()
    await console.get(`${operation}/go`, { method: 'POST' })
    await first.waitForSelector('text=Done: 2 of 2')
    await pages[1]?.[1].waitForSelector('text=newer: show')
    expect(browser.complaints).toEqual([])
  },
)

it('many pages that show different things are computed more seldom', () => {
  expect([1, 10, 20, 50].map(pauseMs)).toEqual([1_000, 1_000, 2_000, 5_000])
})
