import type { Condition } from '../../db/index.ts'
import { describeDrift, eventsOf } from '../drift/index.ts'
import type { Facts } from './facts.ts'
import { MOST_DRIFTS } from './storage-facts.ts'
import { alertText } from './texts.ts'

/** One for each of the newest entries that nobody has acknowledged. */
export function drift({ storage: { drifts } }: Facts): Condition[] {
  return drifts.slice(0, MOST_DRIFTS).map((row) => {
    const { environment, kind, path, value } = row
    const events = eventsOf(row)
    const what = `${describeDrift(row)}${events === null ? '' : ` (${events})`}`
    return {
      name: 'drift',
      subject: [environment, kind, path, value].filter(Boolean).join(' '),
      severity: 'notice',
      text: alertText('drift', `IDWise sends what is not documented to ${environment}: ${what}.`),
      peak: null,
      recovers: false,
    }
  })
}

/** Older entries are not found any more, but their incidents are not over. */
export const hasMoreDrift = ({ storage: { drifts } }: Facts) => drifts.length > MOST_DRIFTS
