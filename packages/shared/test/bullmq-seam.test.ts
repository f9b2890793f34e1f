import { glob, readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

const ROOT = new URL('../../../', import.meta.url).pathname
const ROOM = 'packages/shared/src/queue/bullmq/'

/** Files outside of the room that drive BullMQ themselves. */
const DRIVES_BULLMQ = [
  // Its other users, which the benchmark compares Sluice with, and a textbook worker for chaos to find fault with.
  /^bench\/peers\//,
  /^bench\/measures\/limits\.ts$/,
  /^chaos\/test\/failed-handler-worker\.ts$/,
  // A worker that crashes as often as BullMQ allows.
  /^packages\/testkit\/src\/given-up-job\.ts$/,
  // Tests of the room.
  /^packages\/shared\/test\/(queue|bullmq-contract)\.test\.ts$/,
]

async function filesThat(contain: RegExp): Promise<string[]> {
  const found: string[] = []
  const exclude = (name: string) => name.endsWith('node_modules')
  for await (const file of glob('{apps,packages,bench,chaos,test}/**/*.ts', { cwd: ROOT, exclude })) {
    if (file.startsWith(ROOM) || file.endsWith('bullmq-seam.test.ts')) continue
    if (contain.test(await readFile(ROOT + file, 'utf8'))) found.push(file)
  }
  return found
}

test('only queue/bullmq imports BullMQ', async () => {
  const importers = await filesThat(/from 'bullmq[/']/)
  expect(importers).not.toEqual([])
  expect(importers.filter((file) => !DRIVES_BULLMQ.some((allowed) => allowed.test(file)))).toEqual([])
})

test('only queue/bullmq spells the names of keys and fields', async () => {
  const keys = /:events:|['"`]events:|:collapsed|-\$?\{?\w+\}*\}:(?:canary|events)/
  const fields = /['"`](?:stc|defa|atm|ats|failedReason|processedOn)['"`]|['"`]job stalled/
  expect(await filesThat(keys)).toEqual([])
  expect(await filesThat(fields)).toEqual([])
})
