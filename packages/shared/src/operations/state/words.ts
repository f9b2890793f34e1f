import type { Amount } from '../../db/index.ts'

/** A span of time in its largest unit, such as `4 s`, `17 min` or `3 h`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

/** The time of day, such as `14:17 UTC`; with the day if it is not that of `now`. */
export function timeOfDay(at: Date, now: Date): string {
  const [day = '', time = ''] = at.toISOString().split('T')
  const isToday = now.toISOString().startsWith(day)
  return `${isToday ? '' : `${day}, `}${time.slice(0, 5)} UTC`
}

/** A number with its noun, such as `1 event` or `1,204 events`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`
}

export const number = (count: number) => count.toLocaleString('en')

export const amountOf = ({ count, isMore }: Amount) => `${isMore ? 'more than ' : ''}${number(count)}`

/** How many wait, such as `1,204 events`. */
export function waitingText({ count, isMore }: Amount): string {
  return isMore ? `more than ${counted(count, 'event')}` : counted(count, 'event')
}
