import { describe, expect, test } from 'vitest'
import { safetensorsHeader, withLength, writeSafetensors } from '../../../../test/support/model-files.ts'
import { FormatError, readWhole } from './reading.ts'
import { readSafetensors, shardsIn } from './safetensors.ts'

const read = (file: Uint8Array) => readWhole(readSafetensors(file.length), file)
const json = (value: unknown): Buffer => withLength(Buffer.from(JSON.stringify(value)))
const tensor = (begin: number, end: number, more: object = {}) => ({
  dtype: 'F16',
  shape: [(end - begin) / 2],
  data_offsets: [begin, end],
  ...more,
})

test('names, shapes, types and metadata are told; the bytes are not asked for', () => {
  const { header, bytes } = safetensorsHeader(
    [
      { name: 'a', type: 'BF16', shape: [4, 3] },
      { name: 'b', type: 'F32', shape: [] },
    ],
    { format: 'pt' },
  )
  const found = readWhole(readSafetensors(bytes), header)
  expect(found.tensors).toEqual([
    { name: 'a', shape: [4, 3], type: 'BF16', values: 12, bytes: 24 },
    { name: 'b', shape: [], type: 'F32', values: 1, bytes: 4 },
  ])
  expect(found.metadata.get('format')).toBe('pt')
})

describe('F2, F3 what is damaged or forged is refused in words', () => {
  const good = writeSafetensors([{ name: 'a', type: 'F16', shape: [8] }])
  test.each<[string, Uint8Array, RegExp]>([
    [
      'a header longer than any',
      Buffer.concat([Buffer.from([0, 0, 0, 0, 1, 0, 0, 0]), Buffer.alloc(64)]),
      /header of 4294967296 bytes/,
    ],
    ['a cut header', good.subarray(0, 20), /ends at byte 20.*not whole/],
    ['cut data', good.subarray(0, good.length - 4), /tensors end at byte.*not whole/],
    ['bytes behind the end', Buffer.concat([good, Buffer.from('hidden')]), /6 bytes after the last tensor/],
    ['a list for a header', json([1]), /no JSON object/],
    ['no JSON', withLength(Buffer.from('{"a": ')), /no JSON/],
    ['deep nesting', withLength(Buffer.from('['.repeat(1_000_000))), /nested deeper than 4/],
    ['millions of values', withLength(Buffer.from(`{"a":[${'0,'.repeat(5_000_000)}0]}`)), /more than 4000000 values/],
    ['an overlap', json({ a: tensor(0, 8), b: tensor(4, 12) }), /'b' overlaps another/],
    ['a gap', json({ a: tensor(0, 8), b: tensor(10, 12) }), /2 bytes before 'b'/],
    [
      'a tensor of other bytes than its shape',
      json({ a: tensor(0, 8, { shape: [5] }) }),
      /5 values of F16, which are no 8 bytes/,
    ],
    ['offsets that go back', json({ a: tensor(8, 4, { shape: [1] }) }), /data_offsets/],
    ['negative lengths', json({ a: tensor(0, 8, { shape: [-4] }) }), /no shape/],
    ['lengths beyond numbers', json({ a: tensor(0, 8, { shape: [2 ** 40, 2 ** 40] }) }), /larger than anything/],
    ['a shape that is a text', json({ a: { dtype: 'F16', shape: 'x', data_offsets: [0, 2] } }), /no shape/],
  ])('%s', (_, file, words) => {
    expect(() => read(file)).toThrow(FormatError)
    expect(() => read(file)).toThrow(words)
  })
})

test('a type to come is told by its name, with the bytes that it has', () => {
  const header = json({ a: { dtype: 'F2_E1M0', shape: [8], data_offsets: [0, 2] } })
  expect(readWhole(readSafetensors(header.length + 2), header).tensors).toEqual([
    { name: 'a', shape: [8], type: 'F2_E1M0', values: 8, bytes: 2 },
  ])
})

test('an index names the files of a model, and none outside its folder', () => {
  expect(shardsIn({ weight_map: { a: '2.safetensors', b: '1.safetensors', c: '2.safetensors' } })).toEqual([
    '1.safetensors',
    '2.safetensors',
  ])
  for (const file of ['../x.safetensors', '/etc/passwd', 'a\\b', '..', '', 7])
    expect(() => shardsIn({ weight_map: { a: file } })).toThrow(/no file beside it/)
  expect(() => shardsIn({})).toThrow(/no weight_map/)
})
