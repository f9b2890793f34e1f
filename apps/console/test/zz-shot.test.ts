import { startBrowser } from '@sluice/testkit/browser'
import { openConsole } from '@sluice/testkit/console'
import { createWorld } from '@sluice/testkit/world'
import { program } from '@sluice/testkit/programs'
import { announceProcess, describeProcess } from '@sluice/shared/db'
import { createLog } from '@sluice/shared/runtime'
import { it } from 'vitest'
import { fillState } from './fill-state.ts'
it('shots', async () => {
  await using world = await createWorld('inbox')
  await using browser = await startBrowser(program('chromium') as string)
  {
    await using c = await openConsole(world, { databaseUrl: 'postgres://sluice:x@127.0.0.1:1/sluice', readUrl: 'postgres://sluice:x@127.0.0.1:1/sluice' })
    const page = await browser.signIn(c.url, { viewport: { width: 1440, height: 900 } })
    await page.screenshot({ path: '/tmp/shots/broken.png', fullPage: true })
  }
  const log = createLog('t','silent')
  for (const app of ['ingest', 'worker'] as const) { announceProcess(world.db, describeProcess(app, undefined), log) }
  await fillState(world)
  await using c = await openConsole(world)
  const page = await browser.signIn(c.url, { viewport: { width: 1440, height: 900 } })
  await page.waitForTimeout(2500)
  await page.screenshot({ path: '/tmp/shots/overview2.png', fullPage: true })
  await world.rows('delete from refusals; delete from dead_letters')
  await page.waitForTimeout(2500)
  await page.screenshot({ path: '/tmp/shots/overview3.png', fullPage: true })
  await page.setViewportSize({ width: 390, height: 800 })
  await page.goto(c.url + '/now')
  await page.screenshot({ path: '/tmp/shots/now2.png', fullPage: true })
}, 120000)
