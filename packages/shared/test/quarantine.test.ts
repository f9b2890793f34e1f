import { expect, it } from 'vitest'
import { SUSPECT_AFTER } from '../src/disposition.ts'
import { quarantineSuspects } from '../src/queue/bullmq/quarantine.ts'

it('a suspect runs alone: fetching is held, other jobs end first, and jobs that come meanwhile are delayed', async () => {
  const seen: string[] = []
  const other = Promise.withResolvers<void>()
  const fetching = { hold: () => seen.push('held'), release: () => seen.push('released') }
  const handleAll = quarantineSuspects(fetching, async (jobs) => {
    const names = jobs.map(({ jobId }) => jobId).join('+')
    seen.push(`${names} begins`)
    if (names.includes('other')) await other.promise
    seen.push(`${names} ends`)
    return jobs.map(() => ({ kind: 'completed' }))
  })
  async function run(...jobs: [jobId: string, crashes: number][]): Promise<string[]> {
    const results = await handleAll(
      jobs.map(([jobId, crashes]) => ({
        job: { jobId, data: {}, attempt: 1, isLastAttempt: false },
        crashes,
      })),
    )
    return results.map(({ kind }) => kind)
  }

  const together = run(['other', 0], ['suspect', SUSPECT_AFTER], ['neighbour', 1])
  const late = await run(['late', 0])
  const second = await run(['second suspect', SUSPECT_AFTER + 3])
  other.resolve()

  expect(await together).toEqual(['completed', 'completed', 'completed'])
  expect([late, second]).toEqual([['delayed'], ['delayed']])
  expect(seen).toEqual([
    'other+neighbour begins',
    'held',
    'other+neighbour ends',
    'suspect begins',
    'suspect ends',
    'released',
  ])
  expect(await run(['later', 0])).toEqual(['completed'])
})
