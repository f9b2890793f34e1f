import { randomUUID } from 'node:crypto'
import { letterOf, writeDeadLetters } from '@sluice/shared/db'
import type { DeadLetterReason } from '@sluice/shared/disposition'
import { writeEnvelope } from '@sluice/shared/envelope'
import type { World } from './world.ts'

/** Writes dead letters as a worker does, in one transaction. @returns their numbers, in order */
export async function bury(
  world: World,
  bodies: readonly (string | Buffer)[],
  failed: {
    reason?: DeadLetterReason
    message?: string
    code?: string
    environment?: string
    error?: unknown
  } = {},
): Promise<number[]> {
  const { reason = 'rejected_by_database', message = 'value too long', code, environment = 'live' } = failed
  const { error = Object.assign(new Error(message), { name: 'DatabaseError', ...(code && { code }) }) } =
    failed
  const jobIds = bodies.map(() => `e-${randomUUID()}`)
  await world.db.landingTransaction((connection) =>
    writeDeadLetters(
      connection,
      bodies.map((raw, index) => {
        const deliveryId = randomUUID()
        const envelope = writeEnvelope({
          v: 1,
          env: environment,
          at: Date.now(),
          deliveryId,
          raw: String(raw),
        })
        return letterOf({ jobId: jobIds[index] as string, envelope, attempts: 1 }, reason, error)
      }),
    ),
  )
  const rows = await world.rows<{ id: string; job_id: string }>('select id, job_id from dead_letters')
  const byJob = new Map(rows.map((row) => [row.job_id, Number(row.id)]))
  return jobIds.map((jobId) => byJob.get(jobId) as number)
}
