import { hash } from 'node:crypto'
import { parseNames } from '@sluice/shared/idwise'
import type { Sample } from './events.ts'
import type { ExpectedEvent, ExpectedLetter } from './expected.ts'

/** Where the deliveries of an event go: into `events` before the fixture is made, or into a store where they wait. */
type Destination = 'landed' | 'waiting'

/** Notes what is sent, and so what must become of it. */
export function createBook() {
  const events = new Map<string, { sample: Sample; landed: number; waiting: number }>()
  const letters: ExpectedLetter[] = []
  const sha256 = ({ bytes }: Sample) => hash('sha256', bytes)
  const eventId = ({ bytes }: Sample) => parseNames(bytes).eventId

  return {
    /** @param sample the body that is sent, or for another body of the same event the first one */
    delivered(sample: Sample, where: Destination): void {
      const name = `${sample.environment} ${sha256(sample)}`
      const known = events.get(name) ?? { sample, landed: 0, waiting: 0 }
      known[where]++
      events.set(name, known)
    },
    buried(sample: Sample, letter: Pick<ExpectedLetter, 'reason' | 'before' | 'after'>): void {
      letters.push({ ...letter, eventId: eventId(sample), sha256: sha256(sample) })
    },
    events(): ExpectedEvent[] {
      return [...events.values()].map(({ sample, landed, waiting }) => ({
        environment: sample.environment,
        eventId: eventId(sample),
        sha256: sha256(sample),
        before: landed === 0 ? null : landed - 1,
        after: landed + waiting - 1,
      }))
    },
    letters: (): readonly ExpectedLetter[] => letters,
  }
}

export type Book = ReturnType<typeof createBook>
