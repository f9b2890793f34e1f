import { describeIssues, inWords, type LetterFilter, letterFilter } from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import type { Command } from 'commander'
import { wholeNumberAboveZero } from '../arguments.ts'

export type FilterOptions = {
  group?: string
  reasonIs?: string
  environment?: string
  journey?: string
  reference?: string
  failedSince?: string
  failedBefore?: string
  operation?: number
}

export function addFilterOptions(command: Command): Command {
  return command
    .option('--group <id>', 'only those of this group (see `npx sluice dead groups`)')
    .option('--reason-is <reason>', 'only those with this reason, such as rejected_by_database')
    .option('--environment <name>', 'only those of one source, such as live')
    .option('--journey <id>', 'only those of this journey')
    .option('--reference <no>', 'only those of this reference number')
    .option('--failed-since <time>', 'only those that have failed since, such as 2026-11-03T09:00:00Z')
    .option('--failed-before <time>', 'only those that failed before')
    .option('--operation <number>', 'only those that this operation acted on last', wholeNumberAboveZero)
}

/** @throws UserError */
export function filterOf(options: FilterOptions): LetterFilter {
  const { group, reasonIs, environment, journey, reference, failedSince, failedBefore, operation } = options
  const given = {
    fingerprint: group,
    reason: reasonIs,
    environment,
    journeyId: journey,
    referenceNo: reference,
    failedSince,
    failedBefore,
    operation,
  }
  const named = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const read = letterFilter.safeParse(named, { error: inWords })
  if (!read.success) throw new UserError(describeIssues(read.error).join('\n'))
  return read.data
}
