import type { Condition } from '../../db/index.ts'
import { counted, span } from '../state/words.ts'
import type { Facts } from './facts.ts'
import { alertText } from './texts.ts'

const DAY_MS = 86_400_000
const FULL_SOON_MS = 1_800_000
const LEAST_FREE = 0.1

/** Partitions that are missing, retention that is behind, a standby that is gone, and a disk that fills. */
export function storage({ storage: facts }: Facts): Condition[] {
  const { aheadMs, behindMs, replicas, disk } = facts
  return [
    ...when(aheadMs < DAY_MS, {
      name: 'partitions-missing',
      severity: 'page',
      what:
        aheadMs > 0
          ? `The partitions of the events end in ${span(aheadMs)}: then no event lands.`
          : 'There is no partition for now: no event lands.',
    }),
    ...when(behindMs > DAY_MS, {
      name: 'retention-behind',
      severity: 'notice',
      what: `Retention is ${span(behindMs)} behind its terms.`,
    }),
    ...replicas.flatMap(({ store, found, expected, isTold }) =>
      when(found < expected && !isTold, {
        name: 'replica-gone',
        subject: store,
        severity: 'notice',
        what: `${store} had ${counted(expected, store === 'Redis' ? 'replica' : 'standby')}, and has ${found}. If that is meant to be, acknowledge it.`,
      }),
    ),
    ...when(disk !== null && disk.free < LEAST_FREE, {
      name: 'store-full',
      subject: 'disk of Postgres',
      severity: 'page',
      what: `The disk of Postgres is ${Math.floor((1 - (disk?.free ?? 1)) * 100)} % full.`,
    }),
    ...when(disk !== null && disk.fullInMs < FULL_SOON_MS, {
      name: 'store-full',
      subject: 'disk of Postgres, soon',
      severity: 'page',
      what: `The disk of Postgres is full in ${span(disk?.fullInMs ?? 0)} at the rate of the last minutes.`,
    }),
  ]
}

/** A person's id comes again after the erasure: the sender or another system still has it. */
export function subjectsOfErased({ storage: { lateSubjects } }: Facts): Condition[] {
  const what = `IDWise has sent events of ${counted(lateSubjects, 'journey or reference number', 'journeys or reference numbers')} that ${lateSubjects === 1 ? 'was' : 'were'} erased. Nothing of them is stored.`
  return when(lateSubjects > 0, { name: 'erased-sends', severity: 'notice', what, recovers: false })
}

function when(
  holds: boolean,
  condition: Pick<Condition, 'name' | 'severity' | 'recovers'> & { what: string; subject?: string },
): Condition[] {
  const { what, subject = '', ...rest } = condition
  return holds ? [{ ...rest, subject, text: alertText(rest.name, what), peak: null }] : []
}
