import {
  allWaiting,
  amountOf,
  isAlive,
  perMinute,
  REFUSED,
  type Recorded,
  type SinceNews,
  type State,
} from '@sluice/shared/operations'
import { credentialsSetting } from '@sluice/shared/runtime'
import { type Html, html, type Part } from '../html.ts'
import type { Now } from '../now.ts'
import { environmentBadge } from '../parts/badge.ts'
import { bars } from '../parts/bars.ts'
import { incidentTable } from '../parts/incidents.ts'
import { listPath } from '../parts/letter-paths.ts'
import { processTable } from '../parts/processes.ts'
import { reasonOf } from '../parts/reason.ts'
import { causeNotes, refusalTable, saying } from '../parts/saying.ts'
import { counted } from '../parts/states.ts'
import { shown } from '../parts/text.ts'
import { ago, span } from '../parts/time.ts'
import { tryLine } from '../parts/try-line.ts'
import { sinceLine, sinceSection } from './since.ts'

/** What happened while the person was away. */
export type News = { readonly news: SinceNews; readonly since: Date }

/** The page; its region is replaced while it is open. */
export function overviewPage(region: Html, away: News | undefined): Html {
  return html`${away && sinceLine(away.news, away.since)}
<div hx-sse:connect="/live/overview" hx-swap="innerMorph">${region}</div>
${away && sinceSection(away.news)}`
}

/**
 * @param given.isOperator whether the person may acknowledge incidents
 * @param given.ingestUrl where the ingest listens, if that is known
 */
export function overviewRegion(
  { state, refusals, incidents, drifts, hours }: Now,
  { isOperator, ingestUrl }: { isOperator: boolean; ingestUrl: string | undefined },
): Html {
  const { recorded } = state.figures
  const asked = { isOperator, now: state.at }
  return html`${saying(state)}
${causeNotes(state)}
${incidentTable(incidents, 'page', asked)}
${tiles(state)}
${recorded ? html`${isNew(recorded) ? firstSteps(recorded, ingestUrl) : charts(recorded, hours)}${needsPerson(recorded, drifts)}` : html`<p class="soft">Everything else is in Postgres, and shows as soon as that answers.</p>`}
${incidentTable(incidents, 'notice', asked)}
${refusalTable(refusals, state.at)}
${recorded && processTable(recorded, state.at)}`
}

function tiles(state: State): Html {
  const { stores, waiting, recorded } = state.figures
  const all = allWaiting(waiting)
  const where = [
    ...waiting.unknown.map((place) => `${place === 'queue' ? 'Redis' : 'Postgres'} does not answer`),
    ...(waiting.inbox ? [`${amountOf(waiting.inbox)} in the inbox`] : []),
    ...(waiting.queue === null ? [] : [`${waiting.queue.toLocaleString('en')} in Redis`]),
  ].join(', ')
  return html`<div class="tiles">
${recorded && tile({ name: 'Events a minute', value: perMinute(recorded).toLocaleString('en'), more: `${recorded.flow.lastHour.accepted.toLocaleString('en')} in the last hour, ${counted(recorded.flow.lastHour.duplicates, 'duplicate')}` })}
${tile({
  name: 'Waiting',
  value: waiting.unknown.length === 0 ? amountOf(all) : 'unknown',
  colour: all.count > 0 && (waiting.oldestMs ?? 0) > SLOW_MS ? 'wait' : undefined,
  more: waiting.oldestMs === null ? where : `${where}; the oldest for ${span(waiting.oldestMs)}`,
})}
${recorded && processingTile(recorded)}
${recorded && refusedTile(recorded)}
${recorded && lettersTile(recorded, state.at)}
${recorded && workersTile(recorded, stores.postgres === 'up')}
</div>`
}

const SLOW_MS = 10_000

type Tile = {
  name: string
  value: string
  more: Part
  colour?: 'good' | 'wait' | 'bad' | undefined
  href?: string
}

function tile({ name, value, more, colour, href }: Tile): Html {
  const inner = html`<span>${name}</span><strong class="${colour}">${value}</strong><small>${more}</small>`
  return href ? html`<a class="tile" href="${href}">${inner}</a>` : html`<div class="tile">${inner}</div>`
}

function processingTile({ flow: { processing } }: Recorded): Html {
  const name = 'Receipt to row, p95'
  if (!processing) return tile({ name, value: '–', more: 'nothing landed in the last ten minutes' })
  const within = (ms: number | null) => (ms === null ? '> 5 min' : `≤ ${span(ms)}`)
  const { p50Ms, p95Ms, p99Ms } = processing
  return tile({ name, value: within(p95Ms), more: `p50 ${within(p50Ms)}, p99 ${within(p99Ms)}` })
}

function refusedTile({ flow }: Recorded): Html {
  const { refused } = flow.lastHour
  const again = flow.perMinute.reduce((sum, minute) => sum + minute.refused, 0)
  const all = Object.values(refused).reduce((sum, n) => sum + n, 0)
  const texts = Object.entries(refused).map(
    ([outcome, n]) => `${REFUSED[outcome] ?? outcome} ${n.toLocaleString('en')}`,
  )
  return tile({
    name: 'Refused, last hour',
    value: all.toLocaleString('en'),
    colour: again > 0 ? 'bad' : undefined,
    more: texts.join(', ') || 'none',
    href: '/now#refusals',
  })
}

function lettersTile({ deadLetters: { open, groups, newestAt } }: Recorded, now: Date): Html {
  return tile({
    name: 'Dead letters open',
    value: amountOf(open),
    colour: open.count > 0 ? 'bad' : undefined,
    more: newestAt ? html`${counted(groups, 'group')}, newest ${ago(newestAt, now.getTime())}` : 'none',
    href: '/dead-letters',
  })
}

function workersTile({ workers, ingests }: Recorded, isKnown: boolean): Html {
  const living = workers.filter(isAlive)
  const receiving = ingests.filter(isAlive).length
  const releases = [...new Set(living.map(({ release }) => release))].sort().join(', ')
  const [newest] = living
  return tile({
    name: 'Workers',
    value: isKnown ? String(living.length) : 'unknown',
    colour: isKnown && living.length === 0 ? 'bad' : undefined,
    more: newest
      ? `${releases}, seen ${span(Math.max(1_000, newest.silentMs))} ago; ${counted(receiving, 'ingest')}`
      : `no sign of life; ${counted(receiving, 'ingest')}`,
  })
}

function charts({ flow }: Recorded, hours: Now['hours']): Html {
  return html`<div class="split"><div>${minuteChart(flow)}</div><div>${hours.length > 0 && hourChart(upToNow(hours, flow))}</div></div>`
}

/** The hours are read once a minute; of the last one, each minute is known. */
function upToNow(hours: Now['hours'], { perMinute: minutes }: Recorded['flow']): Now['hours'] {
  return hours.map((span, index) => {
    if (minutes[0] && span.at < minutes[0].minute) return span
    const end = hours[index + 1]?.at
    const within = minutes.filter(({ minute }) => minute >= span.at && !(end && minute >= end))
    const sum = (name: 'accepted' | 'refused') => within.reduce((all, each) => all + each[name], 0)
    return { at: span.at, accepted: sum('accepted'), refused: sum('refused') }
  })
}

function minuteChart({ perMinute: minutes, lastHour }: Recorded['flow']): Html {
  const values = minutes.map(({ minute, accepted, landed, refused }) => ({
    value: accepted + refused,
    title: `${clockTime(minute)}: ${accepted} accepted, ${landed} landed${refused > 0 ? `, ${refused} refused` : ''}`,
    colour: refused > 0 ? ('bad' as const) : undefined,
  }))
  const most = Math.max(...minutes.map(({ accepted }) => accepted))
  const label = `Events of each of the last 60 minutes: ${lastHour.accepted} in all, at most ${most} in one`
  const [first] = minutes
  return html`<h2>Events a minute, last hour</h2>
<div class="card pane">${bars(values, { label })}<p class="axis soft"><span>${first && clockTime(first.minute)}</span><span>at most ${most.toLocaleString('en')}</span><span>now</span></p></div>`
}

function hourChart(hours: Now['hours']): Html {
  const values = hours.map(({ at, accepted, refused }) => ({
    value: accepted + refused,
    title: `${clockTime(at)}: ${accepted} accepted${refused > 0 ? `, ${refused} refused` : ''}`,
    colour: refused > 0 ? ('bad' as const) : undefined,
  }))
  const most = Math.max(...hours.map(({ accepted }) => accepted))
  const all = hours.reduce((sum, { accepted }) => sum + accepted, 0)
  const label = `Events of each ten minutes of the last twelve hours: ${all} in all, at most ${most} in ten minutes`
  const [first] = hours
  return html`<h2>Events in ten minutes, last 12 hours</h2>
<div class="card pane">${bars(values, { label })}<p class="axis soft"><span>${first && clockTime(first.at)}</span><span>at most ${most.toLocaleString('en')}</span><span>now</span></p></div>`
}

const clockTime = (at: Date) => at.toISOString().slice(11, 16)

function isNew({ flow: { lastEvents } }: Recorded): boolean {
  return Object.values(lastEvents).every((time) => time === null)
}

function firstSteps({ sources }: Recorded, ingestUrl: string | undefined): Html {
  const paths = sources.map(
    ({ name }) =>
      html`<li><code>/webhooks/idwise/${name}</code> with a credential of <code>${credentialsSetting(name)}</code></li>`,
  )
  return html`<h2>Send the first event</h2>
<div class="card pane"><p>IDWise posts to the ingest:</p><ul>${paths}</ul>
${tryLine(sources, ingestUrl)}</div>`
}

function needsPerson({ deadLetters, refusals }: Recorded, drifts: number): Html {
  const rows = deadLetters.newest.map(
    ({ fingerprint, letters, newestAt, environment, event, reason, errorMessage }) => html`<tr>
<td data-label="Newest">${ago(newestAt)}</td>
<td class="wide" hx-ignore>${reasonOf(reason)} · ${shown(event ?? 'no event name')} ${environmentBadge(environment)}<br><span class="soft">${shown(errorMessage, 160)}</span></td>
<td class="number" data-label="Events">${amountOf(letters)}</td>
<td><a href="${listPath('open', { fingerprint })}">Look at the group</a></td>
</tr>`,
  )
  const more = deadLetters.groups - deadLetters.newest.length
  if (more > 0) {
    rows.push(html`<tr>
<td></td>
<td class="wide">${counted(more, 'more group')} of dead letters</td>
<td></td>
<td><a href="/dead-letters">All groups, the largest first</a></td>
</tr>`)
  }
  if (refusals.lost > 0) {
    rows.unshift(html`<tr>
<td data-label="Since">today</td>
<td class="wide"><span class="bad">IDWise has given up</span> on events that were refused. Fetch them with its API.</td>
<td class="number" data-label="Events">${refusals.lost.toLocaleString('en')}</td>
<td><a href="/now#refusals">See which</a></td>
</tr>`)
  }
  if (drifts > 0) {
    rows.push(html`<tr>
<td></td>
<td class="wide">IDWise sends what is not documented <span class="soft">· the events have landed</span></td>
<td class="number" data-label="Differences">${drifts.toLocaleString('en')}</td>
<td><a href="/drift">See what is new</a></td>
</tr>`)
  }
  if (rows.length === 0)
    return html`<h2>What needs a person</h2><p class="soft">Nothing: no dead letter is open, and IDWise has given up on no event of the last day.</p>`
  return html`<h2>What needs a person</h2>
<div class="card"><table class="stacked"><thead><tr><th>Newest</th><th>What</th><th class="number">Events</th><th>Next step</th></tr></thead>
<tbody>${rows}</tbody></table></div>`
}
