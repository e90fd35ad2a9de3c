import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseMetrics } from './prometheus.ts'

const name = fc.stringMatching(/^[a-zA-Z_:][a-zA-Z0-9_:]{0,12}$/)
const label = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,8}$/).filter(text => text !== '__proto__')
// Written as a decimal, -0 is 0.
const finite = fc.double({ noNaN: true }).map(number => number + 0)
const value = fc.oneof(finite, fc.integer(), fc.constantFrom(Infinity, -Infinity))
const sample = fc.record({
  name,
  labels: fc.dictionary(label, fc.string({ unit: 'binary' }), { maxKeys: 4, noNullPrototype: true }),
  value,
  timestamp: fc.option(fc.integer()),
  blank: fc.constantFrom('', ' ', '\t'),
  comma: fc.boolean(),
})

type Written = typeof sample extends fc.Arbitrary<infer T> ? T : never

function render({ name, labels, value, timestamp, blank, comma }: Written): string {
  const escape = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
  const pairs = Object.entries(labels).map(([key, text]) => `${key}${blank}=${blank}"${escape(text)}"`)
  const inside = pairs.length === 0 ? '' : `{${blank}${pairs.join(`${blank},${blank}`)}${comma ? ',' : ''}${blank}}`
  const number = String(value).replace('Infinity', 'Inf')
  return `${name}${inside} ${number}${timestamp === null ? '' : ` ${timestamp}`}`
}

test('whatever is written in the format is read as it was', () => {
  fc.assert(
    fc.property(fc.array(sample, { maxLength: 8 }), fc.constantFrom('\n', '\r\n'), (written, end) => {
      const text = written.map(one => `# HELP ${one.name} help${end}${render(one)}${end}`).join('')
      const metrics = parseMetrics(text)
      for (const { name } of written) {
        const mine = written.filter(one => one.name === name)
        expect(metrics.samples(name).map(({ labels, value }) => [{ ...labels }, value])).toEqual(
          mine.map(({ labels, value }) => [{ ...labels }, value]),
        )
        expect(metrics.max(name)).toBe(mine.reduce((most, one) => Math.max(most, one.value), -Infinity))
      }
    }),
  )
})

test('no text makes it throw, and nothing is made up', () => {
  const junk = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[a-z{}="\\,0-9 \n#.+-]{0,200}$/))
  fc.assert(
    fc.property(junk, text => {
      const metrics = parseMetrics(text)
      for (const word of new Set(text.match(/[a-zA-Z_:][a-zA-Z0-9_:]*/g)))
        for (const { value } of metrics.samples(word)) expect(value).not.toBeNaN()
    }),
  )
})

test('values as the format has them; a NaN is no value, and a line that is none of it is passed over', () => {
  const metrics = parseMetrics(
    [
      'a 3.9024848896e+010',
      'a NaN',
      'a{x="1"} +Inf 1700000000000',
      'a 5 # {trace_id="x"} 0.67',
      'a{x="1} 7',
      'a{x="1"',
      'a{x=1} 7',
      'a{x="1" y="2"} 7',
      'a 0x10',
      'a 1 2 three',
      'a',
      'ab 1',
      ' a .5',
    ].join('\n'),
  )
  expect(metrics.samples('a').map(({ value }) => value)).toEqual([39024848896, Infinity, 5, 0.5])
  expect(metrics.samples('a', { x: '1' })).toEqual([{ labels: { x: '1' }, value: Infinity }])
  expect([metrics.sum('none'), metrics.max('none'), metrics.sum('ab')]).toEqual([null, null, 1])
})

test('samples are told apart by labels, and added up', () => {
  const metrics = parseMetrics('q{m="a",e="0"} 1\nq{m="a",e="1"} 2\nq{m="b\\n\\"\\\\",e="0"} 4\n')
  expect(metrics.sum('q')).toBe(7)
  expect(metrics.sum('q', { m: 'a' })).toBe(3)
  expect(metrics.max('q', { m: 'b\n"\\' })).toBe(4)
  expect(metrics.sum('q', { m: 'c' })).toBe(null)
})
