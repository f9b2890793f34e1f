import type { Db } from '@sluice/shared/db'
import { createLog } from '@sluice/shared/runtime'
import { eventually } from '@sluice/testkit/world'
import { expect, it } from 'vitest'
import { watchSchema } from '../src/schema-watch.ts'

it('logs once that Postgres does not answer, however its reasons change', async () => {
  let looks = 0
  const failing = () => Promise.reject(new Error(`reason ${++looks}`))
  const pool = { query: failing, connect: failing } as unknown as Db['pool']
  const lines: string[] = []
  const log = createLog('test', 'info', { write: (line) => void lines.push(JSON.parse(line).msg) })
  await using watch = watchSchema({ pool }, log, 1)
  await eventually(() => looks > 3)
  expect(watch.state).toMatch(/^down \(reason \d+\)$/)
  expect(lines).toEqual(['Postgres does not answer'])
})
