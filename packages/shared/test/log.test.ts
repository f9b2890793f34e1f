import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { expect, it } from 'vitest'

it.runIf(process.platform === 'linux')('a disk that is full under its log ends no process', async () => {
  const source = `
    import { createLog } from '${new URL('../src/runtime/log.ts', import.meta.url)}'
    const log = createLog('test', 'info')
    for (let n = 0; n < 5_000; n++) log.info({ text: 'x'.repeat(1_000) }, 'a line')
    log.fatal('a last line')
    setImmediate(() => process.stderr.write('goes on'))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
  })
  let text = ''
  child.stderr?.on('data', (chunk) => {
    text += chunk
  })
  const [code] = await once(child, 'close')
  expect([code, text]).toEqual([0, 'goes on'])
})
