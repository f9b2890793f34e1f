import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { finishedJourney } from '@sluice/testkit/event'
import { addressOf, PROGRAMS, run, runIngest } from '@sluice/testkit/process'
import { makeRoot } from '@sluice/testkit/sandbox'
import { createWorld, eventually } from '@sluice/testkit/world'
import { describe, expect, it } from 'vitest'

const REFUSED = /a changed secret cannot be used; the one before stays/

/** A Secret as Kubernetes mounts it: each file is a link into a folder, and that folder is swapped as a whole. */
function mountSecret(content: Record<string, string>) {
  const root = makeRoot()
  let version = 0
  function write(files: Record<string, string>): void {
    const folder = `..${++version}`
    mkdirSync(join(root, folder))
    for (const [name, text] of Object.entries(files)) writeFileSync(join(root, folder, name), text)
    symlinkSync(folder, join(root, '..next'))
    renameSync(join(root, '..next'), join(root, '..data'))
    rmSync(join(root, `..${version - 1}`), { recursive: true, force: true })
  }
  write(content)
  for (const name of Object.keys(content)) symlinkSync(`..data/${name}`, join(root, name))
  return { pathOf: (name: string) => join(root, name), write }
}

describe('a secret in a file', () => {
  it('changes while an ingest runs, and a wrong new one changes nothing', async () => {
    await using world = await createWorld('inbox')
    const [old, next] = ['the-token-before-the-rotation', 'the-token-after-the-rotation']
    const sandbox = { sandbox: 'bearer:a-token-of-the-sandbox' }
    const secret = mountSecret({ live: `bearer:${old}`, ...sandbox })
    const { IDWISE_LIVE_CREDENTIALS: _live, IDWISE_SANDBOX_CREDENTIALS: _sandbox, ...env } = world.env
    await using ingest = runIngest({
      ...env,
      IDWISE_LIVE_CREDENTIALS_FILE: secret.pathOf('live'),
      IDWISE_SANDBOX_CREDENTIALS_FILE: secret.pathOf('sandbox'),
    })
    const url = await addressOf(ingest)
    const status = async (token: string) => {
      const headers = { authorization: `Bearer ${token}` }
      const { bytes: body } = finishedJourney()
      return (await fetch(`${url}/webhooks/idwise/live`, { method: 'POST', headers, body })).status
    }
    expect([await status(old), await status(next)]).toEqual([200, 401])

    secret.write({ live: `bearer:${old} bearer:${next}`, ...sandbox })
    await eventually(async () => (await status(next)) === 200)
    expect(await status(old)).toBe(200)

    secret.write({ live: 'bearer:short', ...sandbox })
    await ingest.printed(REFUSED)
    expect([await status(old), await status(next)]).toEqual([200, 200])

    secret.write({ live: `bearer:${next}`, ...sandbox })
    await eventually(async () => (await status(old)) === 401)
    expect(await status(next)).toBe(200)
    expect(ingest.output()).not.toMatch(/-the-rotation|short"/)
    expect(ingest.output().match(new RegExp(REFUSED, 'g'))).toHaveLength(1)
  })

  it('changes while a console runs, and who is not in it any more is let in no longer', async () => {
    await using world = await createWorld('inbox')
    const secret = mountSecret({ people: 'operator:ada:a-secret-of-ada' })
    const { CONSOLE_CREDENTIALS: _none, ...env } = world.env
    await using console = run(PROGRAMS.console, [], {
      ...env,
      CONSOLE_CREDENTIALS_FILE: secret.pathOf('people'),
    })
    const [, port] = await console.printed(/"port":(\d+)[^\n]*"console listens"/)
    const status = async (person: string) => {
      const headers = { authorization: `Basic ${Buffer.from(person).toString('base64')}` }
      return (await fetch(`http://127.0.0.1:${port}/`, { headers })).status
    }
    expect(await status('ada:a-secret-of-ada')).toBe(200)
    secret.write({ people: 'viewer:bob:a-secret-of-bob' })
    // Not asked again and again: five wrong secrets would lock this address out.
    await console.printed(/secrets were read again/)
    expect(await status('bob:a-secret-of-bob')).toBe(200)
    expect(await status('ada:a-secret-of-ada')).toBe(401)
  })
})
