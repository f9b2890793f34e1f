import { announceProcess, describeProcess } from '@sluice/shared/db'
import { createLog } from '@sluice/shared/runtime'
import { type Browser, type Page, screenshot, startBrowser } from '@sluice/testkit/browser'
import { type OpenedConsole, openConsole } from '@sluice/testkit/console'
import { program } from '@sluice/testkit/programs'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fillState } from './fill-state.ts'

const chromium = program('chromium')
const log = createLog('test', 'silent')

describe.skipIf(!chromium)('the overview while it is open', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let console: OpenedConsole
  let browser: Browser
  let page: Page
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    console = stack.use(await openConsole(world))
    browser = stack.use(await startBrowser(chromium as string))
    page = await browser.signIn(console.url)
  })
  afterAll(() => stack.disposeAsync())

  const says = (text: string) => eventually(async () => (await page.textContent('h1'))?.includes(text))

  it('follows the state without being loaded again', async () => {
    await says('No ingest runs')
    for (const app of ['ingest', 'worker'] as const) {
      stack.use(announceProcess(world.db, describeProcess(app, undefined), log))
    }
    await says('No event has come yet')
    await fillState(world)
    await says('Events flow')
    await eventually(async () => (await page.locator('rect.bad').count()) === 3)
    expect(await page.locator('a[href*="fingerprint="]').count()).toBe(3)
    for (const [path, width] of [
      ['/', 1440],
      ['/', 390],
      ['/now', 1440],
      ['/now', 390],
    ] as const) {
      await page.setViewportSize({ width, height: 900 })
      await page.goto(console.url + path)
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
      await screenshot(page, `${path === '/' ? 'overview' : 'now'}-full-${width}`)
    }
    expect(browser.complaints).toEqual([])
  })
})
