import { type Html, html } from '../html.ts'

/** What a person sees instead of a page that cannot be shown. */
export function problemPage(problem: { status: number; words: string; retry?: string | undefined }): Html {
  const { status, words, retry } = problem
  return html`<section class="problem" role="alert">
<h1>${words}</h1>
<p class="soft">${ADVICE[status]}</p>
<p>${status >= 500 && retry && html`<a class="button" href="${retry}">Try again</a> `}<a class="button" href="/">Overview</a></p>
</section>`
}

const ADVICE: Readonly<Record<number, string>> = {
  400: 'Nothing was changed.',
  401: 'Nothing was shown.',
  403: 'Nothing was changed.',
  404: 'The address may be mistyped, or what it named is gone.',
  409: 'Nothing was changed.',
  429: 'Each user and each address has five tries in 15 minutes.',
  500: 'Nothing was changed.',
  503: 'The overview says whether events are still received.',
}
