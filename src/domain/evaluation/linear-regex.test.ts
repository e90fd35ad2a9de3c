import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileLinear } from './linear-regex.ts'

function found(source: string, text: string): boolean {
  const read = compileLinear(source)
  if (!read.ok) throw new Error(`${source}: ${read.problem}`)
  return read.pattern.found(text)
}

function problemOf(source: string): string {
  const read = compileLinear(source)
  return read.ok ? '' : read.problem
}

const patterns = [
  ...[
    'a',
    'abc',
    'a|b',
    '^a$',
    '^$',
    '',
    'a*',
    'a+b?',
    '(ab)+',
    '(?:a|b)*c',
    '(?<name>a)b',
    'a{2}',
    'a{2,}',
    'a{1,3}b',
  ],
  ...['[abc]', '[^a-c]', '[\\]a]', '\\d+', '\\w\\s\\W', '\\bab\\b', '\\Bb', '.', 'a.c', '(a*)*b', '(a|a)*b', '(a+)+$'],
  ...[
    'x*?y',
    '(|a)b',
    '((a))',
    '^a|b$',
    '[\\d-]',
    '\\.',
    '\\u0061',
    '\\x61',
    '\\p{Lu}',
    '[\\p{L}\\s]+',
    'é',
    '😀+',
    'a{0}b',
  ],
]
const texts = [
  ...[
    '',
    'a',
    'b',
    'ab',
    'abc',
    'aab',
    'aaab',
    'ba',
    'abab',
    'cab',
    'a c',
    'xab y',
    'ab ab',
    '12',
    'a-1',
    ']',
    'A',
    'É é',
  ],
  ...['a\nb', 'a\rc', 'x😀😀y', 'xxy', '\u2028', 'a.c', '_'],
]

test.each(patterns)('C6 %s matches what JavaScript matches', source => {
  for (const text of texts) {
    expect(found(source, text), JSON.stringify(text)).toBe(new RegExp(source, 'u').test(text))
    expect(found(`(?i)${source}`, text), `(?i) ${JSON.stringify(text)}`).toBe(new RegExp(source, 'iu').test(text))
    expect(found(`(?sm)${source}`, text), `(?sm) ${JSON.stringify(text)}`).toBe(new RegExp(source, 'smu').test(text))
  }
})

const piece: fc.Arbitrary<string> = fc.letrec<{ node: string }>(tie => ({
  node: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', '\\b', '^', '$'),
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => `${a}${b}`),
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(?:${a}|${b})`),
    fc.tuple(tie('node'), fc.constantFrom('*', '+', '?', '{2}', '{1,2}', '{0,}', '*?')).map(([a, n]) => `(${a})${n}`),
  ),
})).node

test('C6 any pattern of the subset matches what JavaScript matches', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' ', '\n'), maxLength: 10 })
  fc.assert(
    fc.property(piece, text, (source, given) => {
      expect(found(source, given)).toBe(new RegExp(source, 'u').test(given))
    }),
    { numRuns: 2_000 },
  )
})

test.each(['(a+)+$', '(a|aa)+$', '(.*a){12}$', '^(([a-z])+.)+[A-Z]([a-z])+$', '(x+x+)+y'])(
  'C5 %s, which hangs a backtracking engine, ends',
  source => {
    expect(found(source, `${'a'.repeat(20_000)}!`)).toBe(false)
    expect(found(source, `${'x'.repeat(20_000)}!`)).toBe(false)
  },
)

test.each([
  ['(?=a)', 'look-around'],
  ['(?<!a)b', 'look-around'],
  ['(a)\\1', 'reference back'],
  ['(?<n>a)\\k<n>', 'reference back'],
  ['(', 'a ( has no )'],
  [')', 'a ) has no ('],
  ['[a', 'a [ has no ]'],
  ['*a', 'nothing to repeat'],
  ['^*', 'nothing to repeat'],
  ['a**', 'two repetitions'],
  ['a{2}{2}', 'two repetitions'],
  ['a{3,2}', 'out of order'],
  ['[z-a]', 'can’t be read'],
  ['\\q', 'can’t be read'],
  ['a{1000}{1000}', 'two repetitions'],
  ['(a{100}){100}', 'too many'],
  ['a'.repeat(1_001), 'more than 1000 characters'],
  ['('.repeat(60) + ')'.repeat(60), 'nested too deep'],
])('C6 %s is refused', (source, problem) => {
  expect(problemOf(source)).toContain(problem)
})

test('C6 any text compiles or is refused, and never throws', () => {
  const source = fc.string({ unit: fc.constantFrom(...'ab()[]{}|*+?\\^$.,0129-:<>=!pdwsu'), maxLength: 20 })
  fc.assert(
    fc.property(source, given => typeof compileLinear(given).ok === 'boolean'),
    { numRuns: 3_000 },
  )
})
