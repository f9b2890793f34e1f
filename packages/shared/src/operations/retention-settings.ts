import type * as z from 'zod'
import { type Period, retentionPartition, type Terms } from '../db/index.ts'
import { days, folder } from '../runtime/index.ts'

const term = days('400d')

/** The settings of retention. A term that is unset keeps for ever. */
export const retentionSettings = {
  RETENTION_PARTITION: retentionPartition,
  RETENTION_EVENTS: term,
  RETENTION_KEYS: term,
  RETENTION_DEAD_LETTERS: term,
  ARCHIVE_DIR: folder,
}
type Settings = z.output<z.ZodObject<typeof retentionSettings>>

/** Adds the check that no key goes before its event, since the event would land again. */
export function checkTerms<Shape extends z.ZodObject>(settings: Shape): Shape {
  return settings.refine(
    (value) => {
      const { RETENTION_EVENTS: events, RETENTION_KEYS: keys } = value as Partial<Settings>
      return keys === undefined || (events !== undefined && keys >= events)
    },
    {
      path: ['RETENTION_KEYS'],
      message: 'is shorter than RETENTION_EVENTS: a key must not go before its event',
      // Reported together with the other wrong settings.
      when: ({ value }) => {
        const { RETENTION_EVENTS: events, RETENTION_KEYS: keys } = value as Record<string, unknown>
        return typeof keys === 'number' && (events === undefined || typeof events === 'number')
      },
    },
  )
}

/** How long partitions are, what is kept for how long, and where events are archived. */
export type RetentionPolicy = {
  readonly period: Period
  /** Null if no term is set. */
  readonly terms: Terms | null
  readonly archiveDir: string | undefined
}

export function retentionPolicy(settings: Settings): RetentionPolicy {
  const { RETENTION_EVENTS: events = null, RETENTION_KEYS: keys = null, ARCHIVE_DIR: archiveDir } = settings
  const deadLetters = settings.RETENTION_DEAD_LETTERS ?? null
  const hasTerm = events !== null || keys !== null || deadLetters !== null
  return {
    period: settings.RETENTION_PARTITION,
    terms: hasTerm ? { events, keys, deadLetters, archive: archiveDir !== undefined } : null,
    archiveDir,
  }
}
