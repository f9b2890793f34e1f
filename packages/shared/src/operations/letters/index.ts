export { type DeadLetterGroup, type DeadLetterGroups, findGroups } from './groups.ts'
export { describeIssues, inWords } from './issues.ts'
export { runbookOf } from './runbook.ts'
export {
  type NewOperationRequest,
  newOperation,
  type OperationPlan,
  planOperation,
  type StartOutcome,
  startOperation,
} from './start.ts'
export { describeFilter } from './words.ts'
