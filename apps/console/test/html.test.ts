import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { html } from '../src/html.ts'

it('escapes everything that it is given, in texts and in quoted attributes', () => {
  const hostile = `</pre><script>alert(1)</script>"'\`&`
  const escaped = '&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&#96;&amp;'
  expect(String(html`<p title="${hostile}">!${hostile}</p>`)).toBe(`<p title="${escaped}">!${escaped}</p>`)
})

it('puts HTML, lists and numbers where they belong, and nothing for what is missing', () => {
  const items = [1, 2n, html`<b>${'&'}</b>`]
  expect(String(html`<i>${items}${null}${undefined}${false}</i>`)).toBe('<i>12<b>&amp;</b></i>')
})

const SOURCES = fileURLToPath(new URL('../src', import.meta.url))
const sources = globSync('**/*.ts', { cwd: SOURCES }).map((file) => ({
  file,
  text: readFileSync(`${SOURCES}/${file}`, 'utf8'),
}))

it('the style sheet has at most 12 kB', () => {
  expect(readFileSync(`${SOURCES}/public/console.css`).length).toBeLessThanOrEqual(12_000)
})

it.each([
  ['an attribute without quotes', /<[a-z][^<>]*\s[\w:-]+=\$\{/],
  ['a style', /<[a-z][^<>]*\sstyle=/],
  ['a script in an attribute', /<[a-z][^<>]*\son[a-z]+=|hx-on|["']js:/],
  ['a script in the page', /<script(?![^>]* src=)/],
])('no template has %s', (_what, pattern) => {
  expect(sources.filter(({ text }) => pattern.test(text)).map(({ file }) => file)).toEqual([])
})
