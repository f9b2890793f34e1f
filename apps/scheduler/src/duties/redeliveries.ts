import { countRedeliveries } from '@sluice/shared/db'
import type { Duty, QueueDutyDeps } from '../duty.ts'

/** Counts redeliveries that the queue has dropped on the rows of their events. */
export const redeliveries = ({ db, admin }: QueueDutyDeps): Duty => ({
  name: 'redeliveries',
  everyMs: 1_000,
  lease: 'sluice collapsed',
  // For the last jobs of this process.
  isDoneAtEnd: true,
  async run() {
    await admin.moveRedeliveries((counts) =>
      db.landingTransaction((connection) => countRedeliveries(connection, counts)),
    )
  },
})
