import { aligned } from '@sluice/shared/runtime'
import { machine, markdown } from '@sluice/testkit/report'
import { NAMES } from './candidates.ts'
import type { Results } from './measure.ts'
import type { Plan } from './plan.ts'
import { isReached, type Ratio } from './ratios.ts'

type Table = { readonly title: string; readonly note?: string; readonly rows: readonly (readonly string[])[] }

/** The tables for a terminal. */
export function tables(results: Results, ratios: readonly Ratio[]): string {
  return [aimTable(ratios), ...figureTables(results)]
    .map(({ title, rows }) => [title, '', ...aligned(rows)].join('\n'))
    .join('\n\n')
}

/** The page in Markdown. */
export async function page(results: Results, ratios: readonly Ratio[], plan: Plan): Promise<string> {
  const missed = ratios.filter((ratio) => !isReached(ratio))
  const section = ({ title, note, rows }: Table) =>
    `## ${title}\n\n${note ? `${note}\n\n` : ''}${markdown(rows)}\n`
  return `# Performance

Written by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}.

Every candidate runs on the same Redis (append-only file, \`appendfsync always\`) and Postgres of one machine, with the same load and
the same credential, and answers when the event is on disk. The machine does everything: sender, servers, stores. So the plain figures
say little about another one; the ratios are what to look at. Each is the median of at least ${plan.rounds} rounds, in which the candidates
take turns. Events have about 200 bytes, five to a journey.

${ratios.length - missed.length} of ${ratios.length} aims are reached.

${section(aimTable(ratios))}
${figureTables(results).map(section).join('\n')}
## The candidates

${NAMES.map(([id, name]) => `- **${id}** ${name}`).join('\n')}

Their code lies in \`bench/peers\`.

${section({ title: 'The machine', rows: [['', ''], ...(await machine(results.postgresVersion))] })}`
}

function aimTable(ratios: readonly Ratio[]): Table {
  return {
    title: 'Aims',
    rows: [
      ['figure', 'value', 'aim', ''],
      ...ratios.map((ratio) => [
        ratio.name,
        number(ratio.value),
        `${ratio.direction} ${ratio.aim}`,
        isReached(ratio) ? 'reached' : 'MISSED',
      ]),
    ],
  }
}

function figureTables({ answers, landing, flat, redisBytes, limits, backlog, growth }: Results): Table[] {
  const all: Table[] = [
    {
      title: 'Answers',
      note:
        'The ingest alone at saturation: 256 connections, each of which sends as soon as it is answered. The ratio is that to the ' +
        'bare server (A), measured in turn. Such a closed loop favours a server that answers in batches (A2).',
      rows: [
        ['', 'answers/s', 'ratio to A', 'p50 ms', 'p99 ms', 'p99.9 ms'],
        ...answers.map(({ id, own, perSecondRatio }) => [
          id,
          number(own.perSecond),
          number(perSecondRatio),
          number(own.p50),
          number(own.p99),
          number(own.p999),
        ]),
      ],
    },
    {
      title: 'CPU of the ingest',
      note: 'Per event at fixed rates (open loop), with its ratio to A and the p99 of the answers. Pg-boss and graphile-worker do not reach the higher ones.',
      rows: [
        [
          '',
          ...(answers[0]?.own.steady ?? []).flatMap(({ rate }) => [
            `µs at ${number(rate)}/s`,
            'ratio to A',
            'p99 ms',
          ]),
        ],
        ...answers.map(({ id, own, cpuRatios }) => [
          id,
          ...own.steady.flatMap(({ cpuMicros, p99 }, at) => [
            number(cpuMicros),
            number(cpuRatios[at]?.ratio ?? Number.NaN),
            number(p99),
          ]),
        ]),
      ],
    },
    {
      title: 'Landing',
      note: 'A backlog that waits when the workers start; nothing else runs. _CPU_: of the worker processes.',
      rows: [
        ['', 'workers', 'events/s', 'CPU µs per event'],
        ...landing.map(({ id, workers, perSecond, cpuMicros }) => [
          id,
          String(workers),
          number(perSecond),
          number(cpuMicros),
        ]),
      ],
    },
    {
      title: 'Ingest and one worker together',
      note:
        'The highest offered rate (open loop, steps of a quarter) at which the backlog stays flat and the p99 of the answers under ' +
        '50 ms; and what holds at half of it, median of five runs in turn with A. The time to the row is from receipt to commit.',
      rows: [
        [
          '',
          'flat rate/s',
          'p99 ms at half',
          'p99 ms of A there',
          'to row p50 ms',
          'p99 ms',
          'ingest MB',
          'worker MB',
        ],
        ...flat.map((each) => [
          each.id,
          number(each.rate),
          number(each.halfP99),
          number(each.bareHalfP99),
          number(each.toRowP50),
          number(each.toRowP99),
          number(each.ingestMemory),
          number(each.workerMemory),
        ]),
      ],
    },
    {
      title: 'Bytes in Redis per event',
      rows: [
        ['', 'waiting', 'finished'],
        ...redisBytes.map(({ id, waiting, finished }) => [id, number(waiting), number(finished)]),
      ],
    },
    {
      title: 'Limits of the parts',
      rows: [
        ['', 'a second'],
        ...(limits
          ? [
              ['BullMQ addBulk, jobs', number(limits.addBulk)],
              ['Postgres insert from unnest, rows', number(limits.insert)],
              ['fdatasync of 4 kB', number(limits.fsync)],
            ]
          : []),
      ],
    },
    {
      title: 'A long backlog',
      note: 'Answers at saturation as a ratio to the bare server, with a backlog compared to without; and the most memory of each process while the backlog is landed.',
      rows: [
        ['', 'waiting', 'ratio', 'ingest MB', 'worker MB'],
        ...backlog.map(({ id, waiting, ratio, ingestMemory, workerMemory }) => [
          id,
          number(waiting),
          number(ratio),
          number(ingestMemory),
          number(workerMemory),
        ]),
      ],
    },
    {
      title: 'Landing into large tables',
      rows: [
        ['', 'events present', 'events/s'],
        ...growth.map(({ id, present, perSecond }) => [id, number(present), number(perSecond)]),
      ],
    },
  ]
  return all.filter(({ rows }) => rows.length > 1)
}

function number(value: number): string {
  if (Number.isNaN(value)) return ''
  if (value >= 100) return Math.round(value).toLocaleString('en')
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
