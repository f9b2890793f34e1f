import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const NOT_OURS = new Set(['node_modules', '.git', '.sluice'])

type Page = { readonly path: string; readonly text: string; readonly prose: string }

/** What is logged as a warning or worse, as a regular expression finds it. */
const LOGGED = /\blog\??(?:\.(?:warn|error|fatal)|\[[^\]]+\])\(/g

let pages: readonly Page[]
let files: readonly string[]

beforeAll(async () => {
  files = await list('')
  pages = await Promise.all(
    files
      .filter((path) => path.endsWith('.md'))
      .map(async (path) => {
        const text = await readFile(join(ROOT, path), 'utf8')
        return { path, text, prose: text.replace(/^```[\s\S]*?^```/gm, '') }
      }),
  )
})

/** Every file and folder of this repository below a folder. */
async function list(folder: string): Promise<string[]> {
  const entries = await readdir(join(ROOT, folder), { withFileTypes: true })
  const found = entries
    .filter(({ name }) => !NOT_OURS.has(name))
    .map(async (entry) => {
      const path = join(folder, entry.name)
      return entry.isDirectory() ? [path, ...(await list(path))] : [path]
    })
  return (await Promise.all(found)).flat()
}

function linksOf({ prose }: Page): string[] {
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
}

/** The anchors that GitHub gives to headings. */
function anchorsOf({ prose }: Page): Set<string> {
  const headings = [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading)
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\w\s-]/g, '')
        .trim()
        .replace(/\s/g, '-'),
    ),
  )
}

/** What a page links to in this repository: the page and the target's path and anchor. */
function linksWithin(page: Page): { link: string; path: string; anchor: string | undefined }[] {
  return linksOf(page)
    .filter((link) => !/^(https?|mailto):/.test(link))
    .map((link) => {
      const [target = '', anchor] = link.split('#')
      const path = target === '' ? page.path : normalize(join(dirname(page.path), target))
      return { link: `${page.path}: ${link}`, path: path.replace(/\/$/, ''), anchor }
    })
}

/** Words of code in a page that look like a file of this repository: with a slash, or with the ending of a source. */
function filesNamedIn({ text }: Page): string[] {
  const code = [...text.matchAll(/^```sh\n([\s\S]*?)^```|`([^`\n]+)`/gm)].map(
    ([, block, inline]) => block ?? inline ?? '',
  )
  return code
    .flatMap((words) => words.split(/[\s,;]+/))
    .map((word) => word.replace(/\/$/, ''))
    .filter((word) => /^\.?[\w-][\w.-]*(\/[\w.-]+)+$/.test(word) || /^[\w.-]+\.(ts|mjs|md)$/.test(word))
    .filter((word) => !word.split('/').some((part) => NOT_OURS.has(part)) && !word.startsWith('application/'))
}

it('every link of a page leads to a file, and every anchor to a heading', () => {
  const broken = pages.flatMap(linksWithin).filter(({ path, anchor }) => {
    const page = pages.find((each) => each.path === path)
    return anchor === undefined ? !existsSync(join(ROOT, path)) : !(page && anchorsOf(page).has(anchor))
  })
  expect(broken.map(({ link }) => link)).toEqual([])
})

it('every file that a page names in code exists', () => {
  const known = files.map((path) => `/${path}/`)
  const missing = pages.flatMap((page) =>
    filesNamedIn(page)
      .filter((name) => !known.some((path) => path.includes(`/${name}/`)))
      .map((name) => `${page.path}: ${name}`),
  )
  expect(missing).toEqual([])
})

it('every page of docs/ is in a list of pages', () => {
  const lists = pages.filter(({ path }) => /^docs\/(decisions\/)?README\.md$/.test(path))
  const listed = new Set([
    ...lists.map(({ path }) => path),
    ...lists.flatMap(linksWithin).map(({ path }) => path),
  ])
  const missing = pages
    .map(({ path }) => path)
    .filter((path) => path.startsWith('docs/') && !listed.has(path))
  expect(missing).toEqual([])
})

it('operations.md says what each warning and each error of the log means, and has no other', async () => {
  const sources = files.filter((path) => /^(apps\/\w+|packages\/(shared|embedded))\/src\/.*\.ts$/.test(path))
  const texts = await Promise.all(sources.map((path) => readFile(join(ROOT, path), 'utf8')))
  const logged = texts.flatMap((text) =>
    [...text.matchAll(LOGGED)].flatMap(
      ({ index, 0: call }) => messageOf(text.slice(index + call.length)) ?? [],
    ),
  )
  const [, section = ''] =
    pages.find(({ path }) => path === 'docs/operations.md')?.text.split('\n### The log\n') ?? []
  const listed = [...(section.split('\n## ')[0] as string).matchAll(/^\| (.+?) \| [a-z, ]+ \| /gm)].map(
    ([, line]) => line,
  )
  expect(listed.slice(1).sort()).toEqual([...new Set(logged)].sort())
})

/** The last text among the arguments of a call, whose beginning is cut off; undefined if it has none. */
function messageOf(call: string): string | undefined {
  let depth = 1
  const end = [...call].findIndex((character) => {
    depth += character === '(' ? 1 : character === ')' ? -1 : 0
    return depth === 0
  })
  const literals = [...call.slice(0, end).matchAll(/'([^'\n]+)'|`([^`]+)`/g)]
  const [, plain, template] = literals.at(-1) ?? []
  return plain ?? template?.replace(/\$\{[^}]+\}/g, '…')
}
