import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import {
  createWorld,
  type Door,
  eventually,
  openDoor,
  openWorker,
  WAYS,
  type World,
} from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const FOLDER = new URL('../packages/shared/samples/', import.meta.url)
const SAMPLES = readdirSync(FOLDER)

/** The kind of each sample, by the name of its event. */
const KINDS: Record<string, string> = {
  'Finished Step': 'finished_step',
  'Finished User Steps': 'finished_user_steps',
  'Finished Journey': 'finished_journey',
  'Updated Journey': 'updated_journey',
  'Verification Update Required': 'verification_update_required',
  'KYC Renewal Deadline Exceeded': 'kyc_renewal_deadline_exceeded',
  'AML Monitor Update': 'aml_monitor_update',
  'AML Monior Update': 'aml_monitor_update',
  'Finished Spot Check': 'finished_spot_check',
  'Manually Reviewed': 'manually_reviewed',
  'Finished Ongoing Check': 'finished_ongoing_check',
  'Step Submitted': 'step_submitted',
  'Archived Journey': 'unrecognised',
}

describe.each(WAYS)('every sample payload, by the %s', (way) => {
  let world: World
  let door: Door
  let worker: AsyncDisposable

  beforeAll(async () => {
    world = await createWorld(way)
    door = await openDoor(world)
    worker = await openWorker(world)
  })
  afterAll(async () => {
    await door[Symbol.asyncDispose]()
    await worker[Symbol.asyncDispose]()
    await world[Symbol.asyncDispose]()
  })

  it.each(SAMPLES)('%s lands with its kind, ids, decisions and exact bytes', async (file) => {
    const bytes = readFileSync(new URL(file, FOLDER))
    const { event, body } = JSON.parse(bytes.toString())

    const response = await door.post(bytes)

    expect(response.status).toBe(200)
    const { id } = (await response.json()) as { id: string }
    const sha256 = createHash('sha256').update(bytes).digest()
    const [row] = await eventually(async () => {
      const rows = await world.rows('select * from events where body_sha256 = $1', [sha256])
      return rows.length > 0 && rows
    })
    expect(row).toMatchObject({
      environment: 'live',
      event,
      kind: KINDS[event],
      event_id: body.eventId ?? null,
      journey_id: body.journeyId ?? null,
      reference_no: body.referenceNo ?? null,
      system_decision: body.systemDecision ?? null,
      manual_decision: body.manualDecision ?? null,
      final_decision: body.finalDecision ?? null,
      body: { event, body },
      duplicates: 0,
      via: way,
    })
    expect(row?.raw).toEqual(bytes)
    const key = row?.event_key as Buffer
    expect(id).toBe((body.eventId ? key : sha256).toString('hex'))
  })

  it('stores the fields that only some event types have', async () => {
    const details = await world.rows<{ kind: string; details: object }>(
      'select kind, details from events where details is not null order by kind, event_id',
    )
    expect(Object.fromEntries(details.map((row) => [row.kind, row.details]))).toMatchObject({
      finished_spot_check: { spotCheckJourneyId: '692601c3f7de4b852a9c60e1' },
      finished_ongoing_check: { ongoingCheckId: '65ee41b07c2f9d8ae3d700ca' },
      kyc_renewal_deadline_exceeded: {
        requiredSteps: [{ stepId: '20', renewalDeadline: '2026-12-31T00:00:00Z' }],
      },
      aml_monitor_update: { previousSystemDecision: 'Refer', updatedAMLVersionNumber: 3 },
      step_submitted: { stepId: '1', stepType: 'Document' },
    })
  })
})
