import { lookForDrift } from '@sluice/shared/operations'
import type { Duty, DutyDeps } from '../duty.ts'

/** Compares what has landed with what IDWise documents. It reads some hundred events, whatever the rate is. */
export const drift = ({ db }: DutyDeps): Duty => ({
  name: 'drift',
  everyMs: 15_000,
  lease: 'sluice drift',
  run: async (stop) => void (await lookForDrift(db, { stop })),
})
