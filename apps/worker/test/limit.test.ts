import { expect, it } from 'vitest'
import { createLimit } from '../src/limit.ts'

it('no more runs at once than allowed, the others start in order, and a failure frees its place', async () => {
  const limit = createLimit(2)
  const started: number[] = []
  const works = Array.from({ length: 4 }, () => Promise.withResolvers<void>())
  const results = works.map(({ promise }, n) =>
    limit(() => {
      started.push(n)
      return promise
    }),
  )
  expect(started).toEqual([0, 1])
  works[1]?.reject(new Error('failed'))
  await expect(results[1]).rejects.toThrow('failed')
  expect(started).toEqual([0, 1, 2])
  works[2]?.resolve()
  await results[2]
  expect(started).toEqual([0, 1, 2, 3])
  works[0]?.resolve()
  works[3]?.resolve()
  await Promise.all([results[0], results[3]])
})
