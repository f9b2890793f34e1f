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
  all[next].querySelector('a[href]').focus({ preventScroll: true })
  all[next].scrollIntoView({ block: 'nearest' })
}

function choose(row) {
  for (const each of rows()) each.removeAttribute('aria-selected')
  row.setAttribute('aria-selected', 'true')
}

// Beside a list stands an event, which has an address of its own, or a dialog.
let listAddress
function closeBeside() {
  const open = document.querySelector('.split > aside:not(:empty)')
  if (!open) return
  open.replaceChildren()
  if (open.id === 'detail') history.pushState({ htmx: true }, '', listAddress)
  rows()[current()]?.querySelector('a[href]').focus()
}

/** What a key presses: in the chosen row, else outside of the rows. */
function ofKey(key) {
  const row = rows()[current()]
  const all = [...document.querySelectorAll(`[data-key=${key}]`)]
  return all.find((each) => row?.contains(each)) ?? all.find((each) => !each.closest('tbody'))
}

function replay() {
  const box = rows()[current()]?.querySelector('input[type=checkbox]')
  if (box && !document.querySelector('tbody :checked')) box.checked = true
  ofKey('r')?.click()
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
  r: replay,
  c: () => ofKey('c')?.click(),
  '?': () => document.querySelector('#keys')?.togglePopover(),
}

document.addEventListener('keydown', (event) => {
  const { target } = event
  const is = (selector) => target instanceof Element && target.matches(selector)
  const isField = is('input:not([type=checkbox], [type=radio]), textarea, select')
  if (event.key === 'Escape') {
    // The browser itself closes the list of keys.
    if (document.querySelector(':popover-open')) return
    return isField ? target.blur() : closeBeside()
  }
  const isPressed = event.key === 'Enter' && is('a, button, summary, input')
  if (isField || isPressed || event.ctrlKey || event.metaKey || event.altKey) return
  const act = Object.hasOwn(KEYS, event.key) && KEYS[event.key]
  if (!act) return
  event.preventDefault()
  act()
})

// A link with `hx-get` opens its part here; with a modifier it opens as usual. Copy buttons are hidden without script.
document.addEventListener('click', (event) => {
  if (!(event.target instanceof Element)) return
  if (event.target.closest('[data-close]')) return closeBeside()
  const link = event.target.closest('a[hx-get]')
  const row = link?.closest('tbody tr')
  if (row) choose(row)
  if (link && document.querySelector('#detail:empty')) listAddress = location.href
  const button = event.target.closest(COPIES)
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
const note = () => document.querySelector('#away')
function noteAway(why, then = 'This page goes on by itself.') {
  const away = note()
  away.textContent = `${why} What you see is as of before. ${then}`
  away.hidden = false
}
document.addEventListener('sluice-away', ({ detail }) => noteAway(detail.data))
document.addEventListener('sluice-back', () => {
  note().hidden = true
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
