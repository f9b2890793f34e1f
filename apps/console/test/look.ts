import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from '@sluice/testkit/browser'
import { HtmlValidate } from 'html-validate'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** What keeps somebody out of the page, with the first element that does. */
const GRAVE = `axe.run().then(({ violations }) => violations
  .filter(({ impact }) => impact === 'serious' || impact === 'critical')
  .map(({ id, nodes }) => id + ': ' + nodes[0].html))`

const validator = new HtmlValidate({
  extends: ['html-validate:recommended'],
  elements: ['html5', { 'sluice-ago': { phrasing: true }, 'sluice-until': { phrasing: true } }],
  rules: {
    'no-unknown-attributes': 'off',
    // A list of checkboxes, and a filter that names several letters.
    'form-dup-name': ['error', { shared: ['radio', 'button', 'submit', 'checkbox'] }],
  },
})

/** What is not valid in a page. */
export async function invalidIn(html: string): Promise<string[]> {
  const report = await validator.validateString(html)
  return report.results.flatMap(({ messages }) => messages.map((each) => `${each.ruleId}: ${each.message}`))
}

/** What keeps somebody out of a page that is open, or is wider than its window. */
export async function problemsOf(page: Page): Promise<string[]> {
  const width = (await page.evaluate('document.documentElement.scrollWidth')) as number
  const most = page.viewportSize()?.width ?? 0
  await page.evaluate(AXE)
  const found = (await page.evaluate(GRAVE)) as string[]
  return width > most ? [`${width} px wide in a window of ${most} px`, ...found] : found
}
