import { type Html, html } from '../html.ts'

export function signInPage(shown: {
  next?: string | undefined
  user?: string | undefined
  problem?: string | undefined
  needsHttps: boolean
  withOidc: boolean
}): Html {
  const { next, user, problem, needsHttps, withOidc } = shown
  if (needsHttps) {
    return html`<section class="narrow">
<h1>Signing in needs HTTPS</h1>
<p>Browsers keep the session's cookie only over HTTPS, or on this machine itself. Put a proxy in front that ends TLS, and name it in
<code>TRUSTED_PROXIES</code>; or open the console at <code>http://127.0.0.1</code>, for example through an SSH tunnel.</p>
</section>`
  }
  return html`<section class="narrow">
<h1>Sign in</h1>
${problem && html`<p class="note bad" role="alert">${problem}</p>`}
<form method="post" action="/sign-in" class="stack">
<label for="user">User</label>
<input id="user" name="user" autofocus required maxlength="200" autocomplete="username" autocapitalize="none" spellcheck="false" value="${user ?? ''}">
<label for="secret">Secret</label>
<input id="secret" name="secret" type="password" required maxlength="1000" autocomplete="current-password">
${next && html`<input type="hidden" name="next" value="${next}">`}
<button type="submit" class="primary">Sign in</button>
</form>
${withOidc && html`<p><a class="button" href="/sign-in/oidc${next ? `?next=${encodeURIComponent(next)}` : ''}">Sign in with your organisation</a></p>`}
<p class="soft">User and secret are an entry of <code>CONSOLE_CREDENTIALS</code>. <code>npm start</code> makes one, shows it in its terminal, and keeps it in <code>.sluice/env</code>.</p>
</section>`
}
