import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { settingsForSending } from '../src/stores.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-clone-'))
  await mkdir(join(root, '.sluice'))
  await writeFile(
    join(root, '.sluice/env'),
    "IDWISE_LIVE_CREDENTIALS='bearer:of-the-clone'\nINGEST_PORT='25000'\nDATABASE_URL='postgres://clone/sluice'\n",
  )
})
afterEach(() => rm(root, { recursive: true }))

test('a simulation takes credentials and port of the clone, whatever database the environment names', async () => {
  const env = await settingsForSending({ DATABASE_URL: 'postgres://elsewhere/sluice' }, root)
  expect(env).toEqual({
    IDWISE_LIVE_CREDENTIALS: 'bearer:of-the-clone',
    INGEST_PORT: '25000',
    DATABASE_URL: 'postgres://elsewhere/sluice',
  })
})

test('a simulation prefers the credentials that the environment names', async () => {
  const env = await settingsForSending({ IDWISE_LIVE_CREDENTIALS: 'bearer:of-the-environment' }, root)
  expect(env.IDWISE_LIVE_CREDENTIALS).toBe('bearer:of-the-environment')
})
