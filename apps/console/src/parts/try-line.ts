import { credentialsSetting, type Source } from '@sluice/shared/runtime'
import { type Html, html } from '../html.ts'

const INGEST = 'http://INGEST'

/** How an event is sent by hand. @param ingestUrl where the ingest listens, if that is known */
export function tryLine(sources: readonly Source[], ingestUrl: string | undefined): Html {
  const source = (sources.find(({ kind }) => kind === 'sandbox') ?? sources[0])?.name ?? 'live'
  return html`<p>To try it${!ingestUrl && html`, with host and port of the ingest as <code>INGEST</code>`}, with a credential of <code>${credentialsSetting(source)}</code> as <code>TOKEN</code>:</p>
<pre>curl -sS ${ingestUrl ?? INGEST}/webhooks/idwise/${source} -H 'Authorization: Bearer TOKEN' \\
  -d '{"event":"Finished Journey","body":{"eventId":"try-1","journeyId":"try","systemDecision":"Complete"}}'</pre>`
}
