import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeRoot } from '@sluice/testkit/sandbox'
import { expect, it } from 'vitest'
// @ts-expect-error plain JavaScript, because it runs before anything is installed
import { readEnvFile } from '../../../scripts/env-file.mjs'

const LINES = 'FIRST=bearer:abc#def\nSECOND=b # a comment\n'
const VALUES = { FIRST: 'bearer:abc#def', SECOND: 'b' }

function read(content: string | Buffer): Record<string, string> {
  const path = join(makeRoot(), '.env')
  writeFileSync(path, content)
  return readEnvFile(path)
}

const bigEndian = (text: string) => Buffer.from(text, 'utf16le').swap16()

it.each([
  ['as it is', LINES],
  ['with the line ends of Windows', LINES.replaceAll('\n', '\r\n')],
  ['with a byte order mark', `\ufeff${LINES}`],
  ['in UTF-16', Buffer.from(`\ufeff${LINES}`, 'utf16le')],
  ['in UTF-16 with the other byte order', bigEndian(`\ufeff${LINES}`)],
  ['without a last line end', LINES.trimEnd()],
])('.env is read %s', (_name, content) => {
  expect(read(content)).toEqual(VALUES)
})

it('.env is read as docker compose reads it: comments, blanks, quotes and several lines', () => {
  const text = [
    '# a comment',
    '',
    '  export A = a value  ',
    'B=\'b # "b" $B\' # a comment',
    'C="first\\nsecond',
    'third"',
    'D=',
    'E=# all comment',
    'F',
    'A-b.c=`x`',
  ].join('\n')
  expect(read(text)).toEqual({
    A: 'a value',
    B: 'b # "b" $B',
    C: 'first\nsecond\nthird',
    D: '',
    E: '',
    'A-b.c': 'x',
  })
})

it.each([
  ['UTF-16 without a mark', Buffer.from(LINES, 'utf16le'), /\.env is not text in UTF-8/],
  ['other bytes', Buffer.from([0x41, 0x3d, 0xff, 0x0a]), /\.env is not text in UTF-8/],
  ['a line that is not a setting', 'A=1\n\nsecret words\n', /\.env, line 3: is not a setting/],
  ['an open quote', 'A=1\nB="x\ny\n', /line 2: the quote before the value of B is not closed/],
  ['text after a quote', "A=\"1\n2\"\nB='it's'\n", /line 3: something follows the quoted value of B/],
])('.env is refused, and no secret shown, with %s', (_name, content, message) => {
  expect(() => read(content)).toThrow(message)
  expect(() => read(content)).not.toThrow(/secret words/)
})
