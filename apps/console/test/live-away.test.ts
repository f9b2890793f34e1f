import { type Browser, screenshot, startBrowser } from '@sluice/testkit/browser'
import { openConsole } from '@sluice/testkit/console'
import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { program } from '@sluice/testkit/programs'
import { startProxy } from '@sluice/testkit/proxy'
import { createWorld, eventually, openDoor, openWorker } from '@sluice/testkit/world'
import { describe, expect, it } from 'vitest'
import { pauseMs } from '../src/live.ts'

const chromium = program('chromium')

describe.skipIf(!chromium)('a live page while Postgres is away', () => {
  it.each(['operation', 'events'] as const)('of %s says so, keeps what it shows, and goes on by itself', async (kind) => {
    await using world = await createWorld('inbox')
    const url = new URL(world.databaseUrl)
    await using proxy = await startProxy(() => Number(url.port || 5432))
    const address = new URL(url)
    Object.assign(address, { hostname: '127.0.0.1', port: String(proxy.port) })
    await using console = await openConsole(world, { databaseUrl: address.href, readUrl: address.href })
    await using browser: Browser = await startBrowser(chromium as string)
    const ids = await bury(world, [finishedJourney().bytes, finishedJourney().bytes])
    const door = await openDoor(world)
    await using _door = door
    await using _worker = await openWorker(world)
    await door.post(finishedJourney().bytes as Buffer<ArrayBuffer>)
    await eventually(async () => (await world.rows('select from events')).length === 1)
    const started = await console.json('/api/v1/operations', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'replay', filter: { ids }, expected: 2, sample: 1, reason: 'made up' }),
    })
    await eventually(async () => (await console.json(`/api/v1/operations/${started.id}`)).state === 'waiting_for_go')

    const page = await browser.signIn(console.url)
    await page.goto(`${console.url}${kind === 'events' ? '/events' : `/operations/${started.id}`}`)
    const before = await page.textContent('h1')
    const note = page.locator('#away')
    expect(await note.isVisible()).toBe(false)
    await proxy.set({ kind: 'refuse' })
    await note.waitFor({ state: 'visible' })
    expect(await note.textContent()).toMatch(/^The database does not answer\. What you see is as of before\./)
    expect(await page.textContent('h1')).toBe(before)
    await screenshot(page, `${kind}-away`)
    await proxy.set({ kind: 'pass' })
    await note.waitFor({ state: 'hidden' })
    if (kind === 'operation') {
      await console.get(`/operations/${started.id}/go`, {
        method: 'POST',
        headers: { 'sec-fetch-site': 'same-origin' },
      })
      await page.waitForSelector('text=Done: 2 of 2')
    } else {
      await door.post(finishedJourney().bytes as Buffer<ArrayBuffer>)
      await page.waitForSelector('text=newer: show')
    }
    expect(browser.complaints).toEqual([])
  })
})

it('many pages that show different things are computed more seldom', () => {
  expect([1, 10, 20, 50].map(pauseMs)).toEqual([1_000, 1_000, 2_000, 5_000])
})
