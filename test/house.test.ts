import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** A room of the house: a package, an app, or a folder of harness code. */
type Room = {
  readonly folder: string
  /** The specifiers that other rooms may import, each with its file. */
  readonly doors: ReadonlyMap<string, string>
  readonly dependencies: ReadonlySet<string>
}
type Import = { readonly from: string; readonly specifier: string; readonly to: string | undefined }

const rooms = [
  ...globSync('{apps,packages}/*', { cwd: ROOT }).map(readRoom),
  ...['bench', 'chaos', 'deploy', 'test'].map(harness),
]
const doors = new Map(rooms.flatMap((room) => [...room.doors]))
const texts = new Map(
  rooms
    .flatMap(({ folder }) => globSync(`${folder}/**/*.ts`, { cwd: ROOT, exclude: ['**/node_modules'] }))
    .map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]),
)
const imports = [...texts].flatMap(([file, text]) => importsOf(file, text))

it('a room is entered through its doors alone', () => {
  const broken = imports.filter(({ from, specifier, to }) =>
    specifier.startsWith('.')
      ? !specifier.includes('/scripts/') && (to === undefined || roomOf(to) !== roomOf(from))
      : isOurs(specifier) && !to,
  )
  expect(broken.map(shown)).toEqual([])
})

it('product code imports its declared dependencies alone, and no test code', () => {
  const broken = imports.filter(({ from, specifier, to }) => {
    if (!isSource(from)) return false
    if (isOurs(specifier)) return !roomOf(from)?.dependencies.has(nameOf(specifier))
    return to !== undefined && !isSource(to)
  })
  expect(broken.map(shown)).toEqual([])
})

it('only the cli composes apps, and the worker has the duties of the scheduler', () => {
  const allowed = /^apps\/cli\/|^apps\/worker\/.*@sluice\/scheduler/
  const broken = imports.filter(
    ({ from, to }) => /^apps\/\w+\/src/.test(from) && to?.startsWith('apps/') && roomOf(to) !== roomOf(from),
  )
  expect(broken.map(shown).filter((line) => !allowed.test(line))).toEqual([])
})

it('the layers of packages/shared go one way', () => {
  const layers = [
    ['runtime'],
    ['disposition', 'envelope', 'idwise'],
    ['journey'],
    ['db', 'queue'],
    ['operations'],
  ]
  const layerOf = (file: string) => {
    const [, name = ''] = /^packages\/shared\/src\/(\w+)/.exec(file) ?? []
    return { name, level: layers.findIndex((layer) => layer.includes(name)) }
  }
  const inside = imports.filter(({ from, to }) => from.startsWith('packages/shared/src/') && to)
  const broken = inside.filter(({ from, to }) => {
    const [importer, imported] = [layerOf(from), layerOf(to as string)]
    if (importer.name === imported.name) return false
    const mayMeet = importer.level > imported.level || (importer.level === 1 && imported.level === 1)
    return imported.level < 0 || !mayMeet
  })
  expect(broken.map(shown)).toEqual([])
})

it('the two halves of the simulator share the ledger alone', () => {
  const halves = /^packages\/simulator\/src\/(send|verify)\//
  const broken = imports.filter(({ from, to }) => {
    const [half, other] = [halves.exec(from)?.[1], halves.exec(to ?? '')?.[1]]
    return half !== undefined && other !== undefined && half !== other
  })
  expect(broken.map(shown)).toEqual([])
})

it('nothing imports in a circle', () => {
  const next = Map.groupBy(imports, ({ from }) => from)
  const done = new Set<string>()
  const circles: string[] = []
  function visit(file: string, path: readonly string[]): void {
    if (path.includes(file)) return void circles.push([...path.slice(path.indexOf(file)), file].join(' → '))
    if (done.has(file)) return
    for (const { to } of next.get(file) ?? []) if (to) visit(to, [...path, file])
    done.add(file)
  }
  for (const file of texts.keys()) visit(file, [])
  expect(circles).toEqual([])
})

it('a file above 250 lines says in its first comment why it is long', () => {
  const broken = [...texts].filter(([file, text]) => {
    if (file.endsWith('.test.ts') || linesOf(text) <= 250) return false
    const [comment = ''] = /\/\*\*[\s\S]*?\*\/|(^\/\/.*\n)+/m.exec(text) ?? []
    return !/\blong\b/i.test(comment)
  })
  expect(broken.map(([file, text]) => `${file}: ${linesOf(text)}`)).toEqual([])
})

it('half of the source files have at most 75 lines', () => {
  const lengths = [...texts].filter(([file]) => isSource(file)).map(([, text]) => linesOf(text))
  expect(lengths.sort((a, b) => a - b)[Math.floor(lengths.length / 2)]).toBeLessThanOrEqual(75)
})

it('no line of a comment has more than 120 characters', () => {
  const broken = [...texts].flatMap(([file, text]) =>
    text
      .split('\n')
      .flatMap((line, at) =>
        /^\s*(\/\/|\/\*\*|\* )/.test(line) && line.length > 120 ? [`${file}:${at + 1}`] : [],
      ),
  )
  expect(broken).toEqual([])
})

function readRoom(folder: string): Room {
  const {
    name,
    exports: exported = {},
    dependencies = {},
  } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'))
  const entries = Object.entries<string>(typeof exported === 'string' ? { '.': exported } : exported)
  return {
    folder,
    doors: new Map(entries.map(([path, file]) => [join(name, path), join(folder, file)])),
    dependencies: new Set(Object.keys(dependencies)),
  }
}

function harness(folder: string): Room {
  return { folder, doors: new Map(), dependencies: new Set() }
}

function importsOf(from: string, text: string): Import[] {
  const found = text.matchAll(/(?:\bfrom|\bimport\(?)\s*'([^'\n]+)'/g)
  return [...found].map(([, specifier = '']) => ({
    from,
    specifier,
    to: specifier.startsWith('.') ? within(join(dirname(from), specifier)) : doors.get(specifier),
  }))
}

function within(file: string): string | undefined {
  return texts.has(normalize(file)) ? normalize(file) : undefined
}

function roomOf(file: string): Room | undefined {
  return rooms.find(({ folder }) => file.startsWith(`${folder}/`))
}

const isOurs = (specifier: string) => specifier.startsWith('@sluice/')
const nameOf = (specifier: string) => specifier.split('/').slice(0, 2).join('/')
const isSource = (file: string) => /^(apps|packages)\/\w+\/src\//.test(file)
const linesOf = (text: string) => text.split('\n').length - 1
const shown = ({ from, specifier }: Import) => `${from}: ${specifier}`
