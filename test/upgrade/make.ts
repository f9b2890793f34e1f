// Makes the upgrade fixture of this release in some 90 s: node scripts/run.mjs test/upgrade/make.ts
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { shardPrefix } from '@sluice/shared/queue'
import { postgresFolder } from '@sluice/testkit/path-of'
import { Redis } from 'ioredis'
import { createBook } from './book.ts'
import { type Expected, readJourneys } from './expected.ts'
import { makeHistory } from './history.ts'
import { createMaker, type Maker, PREFIX } from './maker.ts'
import { readKeys } from './redis-keys.ts'

/** The journeys that change when what waits in the fixture lands. */
const CHANGING = ['goes-on', 'in-conflict']
/** Lines that only psql understands, or that older servers may refuse. */
const NOT_FOR_ALL = /^(SET (?!client_encoding|standard_conforming_strings)|\\|--|$)/

const bin = postgresFolder()
if (bin === undefined) throw new Error('This needs pg_dump: install postgresql.')
const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
const folder = new URL(`./${version}/`, import.meta.url)
if (existsSync(folder))
  throw new Error(`There is a fixture of ${version} already. Raise the version, or delete it.`)
const book = createBook()
await using maker = await createMaker(bin)
await makeHistory(maker, book)
await mkdir(folder)
await write('expected.json', lines(await expected(maker)))
await write('redis.json', lines(await queueOf(maker)))
await write('postgres.sql', await sqlOf(maker))

async function expected({ db }: Maker): Promise<Expected> {
  const journeys = await readJourneys(db)
  return { events: book.events(), deadLetters: book.letters(), journeys, changing: CHANGING }
}

async function queueOf({ redis }: Maker) {
  await using stack = new AsyncDisposableStack()
  const client = stack.adopt(new Redis(redis.url), (each) => each.disconnect())
  return await readKeys(client, shardPrefix(PREFIX, 0))
}

async function sqlOf({ postgres }: Maker): Promise<string> {
  const dump = await postgres.dump('--inserts', '--rows-per-insert=50', '--no-owner', '--no-privileges')
  const kept = dump
    .toString()
    .split('\n')
    .filter((line) => !NOT_FOR_ALL.test(line))
  return kept.join('\n')
}

/** JSON with a line for each item of the second level. */
function lines(document: object): string {
  const members = Object.entries(document).map(([name, value]) => {
    const [open, close] = Array.isArray(value) ? '[]' : '{}'
    const items = Array.isArray(value)
      ? value.map((item) => JSON.stringify(item))
      : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}:${JSON.stringify(item)}`)
    return `${JSON.stringify(name)}:${open}\n${items.join(',\n')}\n${close}`
  })
  return `{\n${members.join(',\n')}\n}`
}

function write(name: string, text: string): Promise<void> {
  return writeFile(new URL(name, folder), `${text}\n`)
}
