import { writeFile } from 'node:fs/promises'
import { machine, markdown } from '@sluice/testkit/report'
import type { Options } from './options.ts'
import type { Result } from './run.ts'
import { isFailure, rowsOf } from './table.ts'

/** Writes the page about a run in Markdown: the table, the failures, and the faults that could not be tried. */
export async function writeReport(file: string, results: readonly Result[], options: Options): Promise<void> {
  await writeFile(file, await page(results, options))
}

async function page(results: readonly Result[], { seed, rate, minutes }: Options): Promise<string> {
  const ran = results.filter((result) => result.kind === 'ran')
  const impossible = results.filter((result) => result.kind === 'impossible')
  const sum = (read: (result: (typeof ran)[number]) => number) =>
    ran.reduce((total, each) => total + read(each), 0)
  const failed = ran.filter(isFailure)
  return `# Reliability report

Written by \`npm run chaos -- --all\` on ${new Date().toISOString().slice(0, 10)}.

Each row is one run: two ingests behind a balancer, two workers, a Redis (append-only file, \`appendfsync always\`) and a
Postgres, all of them new. The simulator plays IDWise with everything that happens to its webhooks (duplicates, late answers,
broken connections, slow and reordered events), ${rate} new events a second; a refused event is sent again after 1.25, 2.5 and
3.75 s. The fault is injected under this load and healed, everything is drained, and the simulator's ledger is compared with
the database.

A run holds when every event that was answered 200 is in \`events\` or \`dead_letters\`; each landed once, with the bytes that were
sent, and counts no more deliveries than were sent; there is no row of an event that was never sent, and no healthy event in \`dead_letters\`;
requests without credentials changed nothing; each journey says what its events say; queue and inbox are empty in the end; no
process has ended without being asked to; no request fails unless both stores, or the ingests, are hurt; and the fault took effect.

**${ran.length - failed.length} of ${ran.length} runs held.** ${sum((each) => each.acknowledged)} events were acknowledged,
${sum((each) => each.lost)} lost, ${sum((each) => each.twice)} landed twice, ${sum((each) => each.healthyDead)} healthy ones became dead
letters.

${markdown([
  ['', ''],
  ...(await machine(ran[0]?.postgresVersion)),
  ['seed, rate, least load', `${seed}, ${rate} a second, ${minutes * 60} s`],
])}

${markdown(rowsOf(ran))}

- _ambiguous_: requests without an answer; the simulator itself breaks some off in every run.
- _redis_, _inbox_: by which of the two ways the events landed. _redelivered_: sent again after a failure.
- _recovery_: from the healing until no more events wait than arrive in half a second, and a new one lands within a second. A
  killed worker's jobs are taken over when their locks have expired, after 15 to 25 s.

## The faults

${results.map(({ id, name }) => `- **${id}** ${name}`).join('\n')}
${section(
  'What went wrong',
  failed.flatMap((each) => each.problems.map((problem) => `**${each.id}** ${problem}`)),
)}${section(
  'Not possible here',
  impossible.map(({ id, name, reason }) => `**${id}** ${name}: ${reason}`),
)}`
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `\n## ${title}\n\n${lines.map((line) => `- ${line}`).join('\n')}\n`
}
