import { isAlive, type Recorded } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { ago } from './time.ts'

type Process = Recorded['workers'][number]

const MOST = 20

/** Each process that gave a sign of life lately, those that are silent first. */
export function processTable({ workers, ingests }: Recorded, now: Date): Html | null {
  const all = [
    ...workers.map((process) => ({ process, what: 'worker', does: consumed(process) })),
    ...ingests.map((process) => ({
      process,
      what: 'ingest',
      does: process.queuePrefix === null ? 'fills the inbox' : 'fills Redis, or the inbox',
    })),
  ].sort((a, b) => Number(isAlive(a.process)) - Number(isAlive(b.process)) || order(a.process, b.process))
  if (all.length === 0) return null
  const rows = all.slice(0, MOST).map(
    ({ process, what, does }) => html`<tr>
<td>${what} <code title="${process.id}">${process.id.slice(0, 8)}</code></td>
<td>${isAlive(process) ? html`<span class="badge good">alive</span>` : html`<span class="badge bad">silent</span>`}</td>
<td data-label="Last sign of life">${ago(process.seenAt, now.getTime())}</td>
<td data-label="Release">${process.release}</td>
<td class="wide soft">${does}</td>
</tr>`,
  )
  return html`<h2>What runs</h2>
<div class="card"><table class="stacked"><thead><tr><th>Process</th><th>State</th><th>Last sign of life</th><th>Release</th><th>Does</th></tr></thead>
<tbody>${rows}</tbody></table></div>
${all.length > MOST && html`<p class="soft">${all.length - MOST} more.</p>`}`
}

/** Signs of life come in any order; rows do not move with them. */
const order = (a: Process, b: Process) => a.id.localeCompare(b.id)

function consumed({ shards, queueShards }: Process): string {
  if (!shards) return 'lands from the inbox'
  const all = shards.length === queueShards
  return `lands from the inbox and ${all && shards.length === 1 ? 'Redis' : all ? `all ${shards.length} shards` : `shards ${shards.join(', ')}`}`
}
