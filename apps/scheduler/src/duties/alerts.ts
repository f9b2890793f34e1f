import { type AlertWatch, LOOK_EVERY_MS } from '@sluice/shared/operations'
import type { Duty } from '../duty.ts'

/** Finds what people must hear of. Of all processes one does it, under a lease of its own. */
export const alerts = (watch: AlertWatch): Duty => ({
  name: 'alerts',
  everyMs: LOOK_EVERY_MS,
  run: () => watch.round(),
})
