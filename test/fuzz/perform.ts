import assert from 'node:assert'
import { discardDeadLetter, replayDeadLetter } from '@sluice/shared/db'
import type { Act } from './acts.ts'
import { BODIES, type Body } from './bodies.ts'
import type { Entry, Letter, Model } from './model.ts'
import type { System } from './system.ts'

/** Does one act in the system and in the model. An act on handled events waits until they have been handled. */
export async function perform(act: Act, system: System, model: Model): Promise<void> {
  switch (act.kind) {
    case 'send': {
      const bodies = act.bodies.map((index) => BODIES[index] as Body)
      await system.send(bodies)
      for (const body of bodies) model.sent(body)
      return
    }
    case 'start worker': {
      const sweeps = model.entries.some(({ givenUp }) => givenUp)
      await system.startWorker()
      if (sweeps) await settle(system, model)
      return
    }
    case 'stop worker':
      await settle(system, model)
      return system.stopWorker()
    case 'restart worker':
      if (!system.hasWorker()) return
      await system.stopWorker()
      return system.startWorker()
    case 'kill worker':
      return system.killWorker(act.at)
    case 'restart ingest':
      return system.restartIngest()
    case 'send again': {
      const body = nthLetter(model, act.letter)?.body
      if (!body) return
      await system.send([body])
      return model.sent(body)
    }
    case 'repair': {
      await settle(system, model)
      const reference = nthLetter(model, act.letter)?.body.poison
      if (!reference) return
      await system.world.rows('delete from refused where reference = $1', [reference])
      model.repair(reference)
      return
    }
    case 'replay':
    case 'discard':
      await settle(system, model)
      return decide(act.kind, nthLetter(model, act.letter), system, model)
    case 'replay and discard at once':
      // A worker could open the letter again meanwhile.
      if (system.hasWorker()) return
      return contend(nthLetter(model, act.letter), system, model)
    case 'give up': {
      const waiting = model.entries.filter(({ waiting, body }) => waiting && body.eventId !== null)
      const entry = waiting[act.job % waiting.length]
      if (system.hasWorker() || !entry) return
      await system.giveUp(entry.body)
      return model.giveUp(entry)
    }
    default:
      return act satisfies never
  }
}

/** If a worker runs, waits until it has handled everything. */
export async function settle(system: System, model: Model): Promise<void> {
  if (!system.hasWorker()) return
  await system.settled()
  const landed = await system.world.rows<{ environment: string; raw: Buffer }>(
    'select environment, raw from events',
  )
  model.settle((body) =>
    landed.some(({ environment, raw }) => environment === body.environment && raw.equals(body.bytes)),
  )
}

const ACTS = { replay: replayDeadLetter, discard: discardDeadLetter }

async function decide(
  action: 'replay' | 'discard',
  entry: WithLetter | undefined,
  system: System,
  model: Model,
): Promise<void> {
  if (!entry) return
  const { letter } = entry
  const id = await idOf(entry, system)
  const outcome = await ACTS[action](system.world.db, { id, actor: 'tester' })
  if (letter.state !== 'open') return assert.deepEqual(outcome, { kind: 'not_open', state: letter.state })
  assert.deepEqual(outcome, { kind: 'done' })
  model.act(letter, action)
}

async function contend(entry: WithLetter | undefined, system: System, model: Model): Promise<void> {
  if (!entry) return
  const { letter } = entry
  const id = await idOf(entry, system)
  const actions = ['replay', 'discard', 'replay', 'discard'] as const
  const outcomes = await Promise.all(
    actions.map((action) => ACTS[action](system.world.db, { id, actor: 'tester' })),
  )
  const won = actions.filter((_, index) => outcomes[index]?.kind === 'done')
  assert.equal(won.length, letter.state === 'open' ? 1 : 0)
  if (won[0]) model.act(letter, won[0])
}

type WithLetter = Entry & { letter: Letter }

function nthLetter(model: Model, nth: number): WithLetter | undefined {
  const letters = model.entries.filter((entry): entry is WithLetter => entry.letter !== undefined)
  return letters[nth % letters.length]
}

async function idOf({ body }: Entry, { world }: System): Promise<number> {
  const rows = await world.rows<{ id: string }>(
    'select id from dead_letters where environment = $1 and raw = $2',
    [body.environment, body.bytes],
  )
  assert.equal(rows.length, 1, `dead letters of ${body.name}`)
  return Number(rows[0]?.id)
}
