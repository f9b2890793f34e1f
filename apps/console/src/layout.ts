import { release } from '@sluice/shared/runtime'
import type { FastifyRequest } from 'fastify'
import { type Html, html } from './html.ts'

const NAVIGATION = [
  ['/', 'Overview'],
  ['/events', 'Events'],
  ['/dead-letters', 'Dead letters'],
  ['/operations', 'Operations'],
  ['/drift', 'Drift'],
  ['/audit', 'Audit'],
  ['/queues', 'Queues'],
] as const

/** The whole document around a page. */
export function page(request: FastifyRequest, { title, body }: { title: string; body: Html }): Html {
  const { user } = request
  const path = request.url.split('?', 1)[0] ?? '/'
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="htmx-config" content='{"extensions":"sse","includeIndicatorCSS":false,"morphIgnore":["data-htmx-powered","open"],"sse":{"reconnectMaxDelay":5000}}'>
<title>${title} · Sluice</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/console.css">
<script defer src="/assets/htmx.js"></script>
<script defer src="/assets/console.js"></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
<a class="name" href="/">Sluice</a>
${user && navigation(path)}
${user && searchBox()}
${user && signOut(user)}
</header>
<main id="main">
<p id="away" class="note bad" role="status" hidden></p>
${body}
</main>
<footer class="soft">Sluice ${release()}${user && html` · all times are UTC · <a href="/api">API</a> · <button type="button" class="plain" popovertarget="keys">Keys</button>`}</footer>
${user && KEYS}
</body>
</html>`
}

const KEYS = html`<div id="keys" popover>
<h2>Keys</h2>
<dl>
<dt><kbd>/</kbd></dt><dd>search</dd>
<dt><kbd>j</kbd> <kbd>k</kbd></dt><dd>next and previous row</dd>
<dt><kbd>Enter</kbd></dt><dd>open the row</dd>
<dt><kbd>x</kbd></dt><dd>select the row</dd>
<dt><kbd>r</kbd></dt><dd>replay</dd>
<dt><kbd>c</kbd></dt><dd>copy the id</dd>
<dt><kbd>Esc</kbd></dt><dd>leave a field, close what stands beside</dd>
<dt><kbd>?</kbd></dt><dd>these keys</dd>
</dl>
</div>`

function navigation(path: string): Html {
  const links = NAVIGATION.map(([href, name]) => {
    const isHere = href === '/' ? path === '/' : path === href || path.startsWith(`${href}/`)
    return isHere
      ? html`<a href="${href}" aria-current="page">${name}</a>`
      : html`<a href="${href}">${name}</a>`
  })
  return html`<nav aria-label="Pages">${links}</nav>`
}

function searchBox(): Html {
  return html`<form class="box" action="/search" role="search">
<input name="q" type="search" aria-label="Search" maxlength="10000" autocomplete="off" spellcheck="false"
 placeholder="Event id, journey, reference, or paste an e-mail"><kbd aria-hidden="true">/</kbd><button type="submit" class="unseen">Search</button>
</form>`
}

function signOut({ name, role, by }: NonNullable<FastifyRequest['user']>): Html {
  const who = html`<span class="soft" title="${role}">${name}${role === 'viewer' && ' (viewer)'}</span>`
  if (by !== 'session') return html`<div class="who">${who}</div>`
  return html`<form class="who" method="post" action="/sign-out">${who} <button type="submit" class="plain">Sign out</button></form>`
}
