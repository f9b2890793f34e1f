import { ACTED_ON, type LetterFilter, type OperationKind } from '../../db/index.ts'

const FEW = 5

/** Which letters an operation is about, in words: without messages of errors, which may have names of persons. */
export function describeFilter(filter: LetterFilter, kind: OperationKind): string {
  return `${ACTED_ON[kind]} dead letters${describeConditions(filter)}`
}

/** @returns for example ` of live, failed since 2026-11-03T09:00:00Z`; empty if there is no condition */
function describeConditions(filter: LetterFilter): string {
  const {
    ids,
    fingerprint,
    reason,
    environment,
    journeyId,
    referenceNo,
    operation,
    failedSince,
    failedBefore,
  } = filter
  const conditions = [
    ids && (ids.length <= FEW ? `numbered ${ids.join(', ')}` : `chosen by number (${ids.length})`),
    fingerprint && `of group ${fingerprint}`,
    reason && `with the reason ${reason}`,
    environment && `of ${environment}`,
    journeyId && `of journey ${journeyId}`,
    referenceNo && `of reference ${referenceNo}`,
    operation && `that operation ${operation} acted on last`,
    failedSince && `failed since ${failedSince}`,
    failedBefore && `failed before ${failedBefore}`,
  ].filter((condition) => condition !== undefined)
  return conditions.length === 0 ? '' : ` ${conditions.join(', ')}`
}
