import { type Html, html } from '../html.ts'

/** How long ago something was, which ticks; the absolute time shows when it is pointed at. */
export function ago(at: Date, now = Date.now()): Html {
  return html`<time datetime="${at.toISOString()}" title="${utc(at)}"><sluice-ago at="${at.getTime()}">${span(now - at.getTime())} ago</sluice-ago></time>`
}

/** How long it still takes, which ticks. */
export function until(at: Date, now = Date.now()): Html {
  const left = at.getTime() - now
  return html`<time datetime="${at.toISOString()}" title="${utc(at)}"><sluice-until at="${at.getTime()}">${left > 0 ? `in ${span(left)}` : 'now'}</sluice-until></time>`
}

/** The time itself, such as `28 Nov 2026, 14:07:03.120`. */
export function moment(at: Date): Html {
  return html`<time datetime="${at.toISOString()}" title="${at.toISOString()}">${utc(at)}</time>`
}

/** The time to the minute, such as `28 Nov 2026, 14:07 UTC`. */
export function minute(at: Date): Html {
  return html`<time datetime="${at.toISOString()}" title="${utc(at)}">${utc(at).replace(/:\d\d\.\d+/, '')}</time>`
}

/** A time of day, for a list whose day is known. */
export function clock(at: Date): Html {
  return html`<time datetime="${at.toISOString()}" title="${utc(at)}">${at.toISOString().slice(11, 19)}</time>`
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

function utc(at: Date): string {
  const [day = '', time = ''] = at.toISOString().split('T')
  const [year, month, date] = day.split('-')
  return `${Number(date)} ${MONTHS[Number(month) - 1]} ${year}, ${time.replace('Z', '')} UTC`
}

/** A span of time in its largest unit, such as `4 s` or `17 min`. The script in `public` writes it alike. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (ms > 0 && ms < 1_000) return `${Math.round(ms)} ms`
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}
