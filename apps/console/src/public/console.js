// What plain HTML cannot do: times that tick, keys, copying. Every page works without it.

/** A time that ticks: the server's text, then what a subclass makes of it each second. */
class Ticking extends HTMLElement {
  #timer
  connectedCallback() {
    this.#show()
    this.#timer = setInterval(() => this.#show(), 1000)
  }
  disconnectedCallback() {
    clearInterval(this.#timer)
  }
  #show() {
    const text = this.text(Math.round((Date.now() - Number(this.getAttribute('at'))) / 1000))
    if (this.textContent !== text) this.textContent = text
  }
}

/** `<sluice-ago at="ms since 1970">`: its age as it grows. */
class Ago extends Ticking {
  text(seconds) {
    return `${age(Math.max(0, seconds))} ago`
  }
}
customElements.define('sluice-ago', Ago)

/** `<sluice-until at="…">`: what is left until then. */
class Until extends Ticking {
  text(seconds) {
    return seconds < 0 ? `in ${age(-seconds)}` : 'now'
  }
}
customElements.define('sluice-until', Until)

function age(seconds) {
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86400)} d`
}

const rows = () => [...document.querySelectorAll('tbody tr')].filter((row) => row.querySelector('a[href]'))
const current = () => rows().findIndex((row) => row.getAttribute('aria-selected') === 'true')

function move(by) {
  const all = rows()
  if (all.length === 0) return
  const before = current()
  const next = before < 0 ? 0 : Math.min(all.length - 1, Math.max(0, before + by))
  choose(all[next])
  all[next].scrollIntoView({ block: 'nearest' })
}

function choose(row) {
  for (const each of rows()) each.removeAttribute('aria-selected')
  row.setAttribute('aria-selected', 'true')
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    // Without HTTPS there is no clipboard.
    const area = document.createElement('textarea')
    area.value = text
    document.body.append(area)
    area.select()
    document.execCommand('copy')
    area.remove()
  }
  if (!button) return
  const before = button.textContent
  button.textContent = 'Copied'
  setTimeout(() => {
    button.textContent = before
  }, 1500)
}

const COPIES = '[data-copy], [data-copy-link], [data-copy-text]'

const KEYS = {
  '/': () => document.querySelector('.box input')?.focus(),
  j: () => move(1),
  k: () => move(-1),
  Enter: () => rows()[current()]?.querySelector('a[href]')?.click(),
  x: () => rows()[current()]?.querySelector('input[type=checkbox]')?.click(),
  r: () => document.querySelector('[data-key=r]')?.click(),
  c: () => document.querySelector('[data-key=c]')?.click(),
  '?': () => document.querySelector('#keys')?.togglePopover(),
}

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') return document.activeElement?.blur()
  const { target } = event
  const isTyping = target instanceof Element && target.matches('input, textarea, select, button, a, summary')
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return
  const act = Object.hasOwn(KEYS, event.key) && KEYS[event.key]
  if (!act) return
  event.preventDefault()
  act()
})

// A link with `hx-get` opens its part here; with a modifier it opens as usual. Copy buttons are hidden without script.
document.addEventListener('click', (event) => {
  const row = event.target instanceof Element && event.target.closest('a[hx-get]')?.closest('tbody tr')
  if (row) choose(row)
  const button = event.target instanceof Element ? event.target.closest(COPIES) : null
  if (!button) return
  const { copy: what, copyLink: path, copyText: text } = button.dataset
  if (path) return void copy(location.origin + path, button)
  if (text) return void copy(decodeURIComponent(text), button)
  void copy(what.startsWith('#') ? document.querySelector(what).textContent : what, button)
})
function showCopies() {
  for (const button of document.querySelectorAll(COPIES)) button.hidden = false
}
showCopies()
document.addEventListener('htmx:after:swap', showCopies)

// A live page that cannot go on keeps what it shows, and a note says so until it goes on by itself.
const away = document.querySelector('#away')
function noteAway(why, then = 'This page goes on by itself.') {
  away.textContent = `${why} What you see is as of before. ${then}`
  away.hidden = false
}
document.addEventListener('sluice-away', ({ detail }) => noteAway(detail.data))
document.addEventListener('sluice-back', () => {
  away.hidden = true
})
document.addEventListener('htmx:sse:error', ({ detail }) => {
  if (detail.status === 401) noteAway('You are signed out.', 'Load the page again to sign in.')
  else noteAway('The console does not answer.')
})

// A field of one line would join the lines of a pasted text without a blank. A long one does not fit into an address.
document.addEventListener('paste', (event) => {
  const field = event.target
  const text = event.clipboardData?.getData('text/plain') ?? ''
  if (!(field instanceof HTMLInputElement) || !field.matches('.box input') || !/\n/.test(text)) return
  event.preventDefault()
  field.setRangeText(text.replace(/\s+/g, ' ').trim(), field.selectionStart, field.selectionEnd, 'end')
  if (field.value.length > 2000) field.form.method = 'post'
})

// A checkbox that ticks all of its table.
document.addEventListener('change', (event) => {
  const box = event.target
  if (!(box instanceof HTMLInputElement) || !box.matches('[data-all]')) return
  for (const each of document.querySelectorAll(`input[name="${box.dataset.all}"]`)) each.checked = box.checked
})
