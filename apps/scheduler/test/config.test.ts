import { describe, expect, it } from 'vitest'
import { readSchedulerConfig } from '../src/config.ts'

const read = (env: Record<string, string>) =>
  readSchedulerConfig({ DATABASE_URL: 'postgres://127.0.0.1/sluice', ...env }).retention

describe('the settings of retention', () => {
  it('keep everything for ever unless they are set', () => {
    expect(read({})).toEqual({ period: 'month', terms: null, archiveDir: undefined })
    expect(
      read({
        RETENTION_EVENTS: '400d',
        RETENTION_KEYS: '400d',
        RETENTION_PARTITION: 'day',
        ARCHIVE_DIR: '/a',
      }),
    ).toEqual({
      period: 'day',
      terms: { events: 400, keys: 400, deadLetters: null, archive: true },
      archiveDir: '/a',
    })
  })

  it.each([
    [{ RETENTION_EVENTS: '400' }, 'RETENTION_EVENTS is not a number of days such as 400d'],
    [{ RETENTION_EVENTS: '0d' }, 'RETENTION_EVENTS is not a number of days such as 400d'],
    [{ RETENTION_KEYS: '400d' }, 'RETENTION_KEYS is shorter than RETENTION_EVENTS'],
    [{ RETENTION_EVENTS: '400d', RETENTION_KEYS: '399d' }, 'RETENTION_KEYS is shorter than RETENTION_EVENTS'],
    [{ RETENTION_PARTITION: 'year' }, 'RETENTION_PARTITION is none of day, week, month'],
    [{ ARCHIVE_DIR: 'archive' }, 'ARCHIVE_DIR is not an absolute path'],
  ])('%j is refused', (env, problem) => {
    expect(() => read(env as unknown as Record<string, string>)).toThrow(problem)
  })
})
