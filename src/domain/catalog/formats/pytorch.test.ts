import { describe, expect, test } from 'vitest'
import { pickle, stateDict, torchArchive, writeZip } from '../../../../test/support/model-files.ts'
import { scanPickle } from './pickle.ts'
import { readPytorch } from './pytorch.ts'
import { FormatError, readWhole } from './reading.ts'

const none = new Set<string>()
const archive = (file: Uint8Array, allowed = none) =>
  readWhole(readPytorch(file.length, { zipped: true, allowed }), file)
const plain = (file: Uint8Array, allowed = none) =>
  readWhole(readPytorch(file.length, { zipped: false, allowed }), file)
const { proto, mark, tuple, reduce, global, stackGlobal, text, whole, stop } = pickle

/** os.system('…'), as a pickle that is loaded would call it. */
const attack = Buffer.concat([global('os', 'system'), mark, text('touch /tmp/pwned'), tuple, reduce])
const tensors = [
  { name: 'model.embed_tokens.weight', shape: [10, 4] },
  { name: 'model.layers.0.mlp.up_proj.weight', shape: [4, 4], storage: 'BFloat16Storage' },
]

test('the tensors of an archive are told by their names, shapes and types, and nothing is refused', () => {
  const found = archive(torchArchive(stateDict(tensors)))
  expect(found.tensors).toEqual([
    { name: 'model.embed_tokens.weight', shape: [10, 4], type: 'F16', values: 40, bytes: 80 },
    { name: 'model.layers.0.mlp.up_proj.weight', shape: [4, 4], type: 'BF16', values: 16, bytes: 32 },
  ])
  expect(found.storageBytes).toBe(112)
  expect(found.pickle.imports.every(({ verdict }) => verdict === 'tensors')).toBe(true)
})

test('two names of one storage are one tensor', () => {
  const shared = [
    { name: 'embed', shape: [10, 4], key: '0' },
    { name: 'lm_head', shape: [10, 4], key: '0' },
  ]
  expect(archive(torchArchive(stateDict(shared))).tensors).toHaveLength(1)
})

describe('F5 what a pickle would run is listed, and refused unless it is allowed by its name', () => {
  const verdicts = (file: Uint8Array, allowed = none) =>
    archive(file, allowed).pickle.imports.filter(({ verdict }) => verdict !== 'tensors')

  test('an import of os.system beside tensors', () => {
    const file = torchArchive(stateDict(tensors, attack))
    expect(verdicts(file)).toEqual([{ name: 'os.system', times: 1, verdict: 'refused' }])
    expect(verdicts(file, new Set(['os.system']))).toEqual([{ name: 'os.system', times: 1, verdict: 'allowed' }])
    expect(verdicts(file, new Set(['os.popen', 'os']))).toMatchObject([{ verdict: 'refused' }])
    expect(archive(file).pickle.calls).toContainEqual({ opcode: 'REDUCE', times: 1 + 2 * 2 + 1 })
  })

  test('names of protocol 4, and names that are computed', () => {
    const named = Buffer.concat([proto(4), stackGlobal('builtins', 'eval'), stop])
    const computed = Buffer.concat([proto(4), text('os'), whole(1), Buffer.from([0x93]), stop])
    expect(verdicts(torchArchive(named))).toMatchObject([{ name: 'builtins.eval', verdict: 'refused' }])
    expect(verdicts(torchArchive(computed))).toMatchObject([{ name: 'os.(computed)', verdict: 'refused' }])
  })

  test('the old ways to import and to call, and extensions', () => {
    const old = Buffer.concat([mark, text('id'), Buffer.from('ios\nsystem\n'), stop])
    const made = Buffer.concat([mark, global('subprocess', 'Popen'), text('id'), Buffer.from('o'), stop])
    const extended = Buffer.concat([proto(), Buffer.from([0x82, 7]), stop])
    expect(plain(old).pickle).toEqual({
      imports: [{ name: 'os.system', times: 1, verdict: 'refused' }],
      calls: [{ opcode: 'INST', times: 1 }],
    })
    expect(plain(made).pickle).toMatchObject({ imports: [{ name: 'subprocess.Popen' }], calls: [{ opcode: 'OBJ' }] })
    expect(plain(extended).pickle.imports).toMatchObject([{ name: 'copyreg extension 7', verdict: 'refused' }])
  })

  test('a name that only begins like one that makes tensors', () => {
    for (const name of ['_rebuild_tensor_v2.__globals__', '_rebuild_tensor_v2x', '_load'])
      expect(verdicts(torchArchive(Buffer.concat([proto(), global('torch._utils', name), stop])))).toMatchObject([
        { verdict: 'refused' },
      ])
  })

  test('a second pickle in the same archive', () => {
    const file = torchArchive(stateDict(tensors), [
      { name: 'model/constants.pkl', bytes: Buffer.concat([attack, stop]) },
    ])
    expect(verdicts(file)).toMatchObject([{ name: 'os.system', verdict: 'refused' }])
  })

  test('TorchScript is told', () => {
    const file = torchArchive(stateDict([]), [{ name: 'model/code/__torch__.py', bytes: Buffer.from('def f(): pass') }])
    expect(archive(file).code).toBe(true)
  })
})

test('a file from before 1.6 is read pickle by pickle, and its storages are not', () => {
  const magic = Buffer.from([0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e])
  const file = Buffer.concat([
    magic,
    ...[whole(1001), pickle.emptyDict].map(value => Buffer.concat([proto(), value, stop])),
    stateDict(tensors),
    Buffer.concat([proto(), Buffer.from(']'), stop]),
    Buffer.alloc(4096, 0xff),
  ])
  const found = plain(file)
  expect(found.container).toBe('legacy')
  expect(found.tensors.map(({ name }) => name)).toEqual(tensors.map(({ name }) => name))
})

describe('F2 what is damaged or forged is refused in words', () => {
  const good = torchArchive(stateDict(tensors))
  const overlapping = (): Buffer => {
    const file = Buffer.from(
      writeZip([
        { name: 'a/data.pkl', bytes: stateDict([]) },
        { name: 'a/b', bytes: Buffer.alloc(9) },
      ]),
    )
    const second = file.lastIndexOf(Buffer.from([0x50, 0x4b, 1, 2]))
    file.writeUInt32LE(0, second + 42)
    return file
  }
  test.each<[string, () => unknown, RegExp]>([
    [
      'a cut archive',
      () => archive(good.subarray(0, good.length - 30)),
      /list at the end of the archive is missing.*not whole/,
    ],
    [
      'an archive without a model',
      () => archive(writeZip([{ name: 'x.txt', bytes: Buffer.from('x') }])),
      /without data\.pkl/,
    ],
    ['entries over each other', () => archive(overlapping()), /overlaps another entry/],
    ['a pickle of 100 MB', () => archive(torchArchive(Buffer.alloc(100_000_000))), /at most 67108864 are read/],
    ['a pickle without an end', () => archive(torchArchive(Buffer.concat([proto(), whole(1)]))), /ends too early/],
    [
      'an opcode that does not exist',
      () => plain(Buffer.concat([proto(), Buffer.from([0xff])])),
      /opcode 0xff does not exist/,
    ],
    ['taking from an empty stack', () => plain(Buffer.concat([proto(), reduce, stop])), /takes what is not there/],
    ['a mark that is not there', () => plain(Buffer.concat([proto(), tuple, stop])), /needs a mark/],
    [
      'a memory that is not there',
      () => plain(Buffer.concat([proto(), Buffer.from([0x68, 9]), stop])),
      /remembers nothing under 9/,
    ],
    ['millions of steps', () => plain(Buffer.concat([Buffer.alloc(2_100_000, ']'), stop])), /more than 2000000 steps/],
    ['a line without an end', () => plain(Buffer.alloc(200_000, 'I')), /no end/],
    ['a plain file that ends too early', () => plain(Buffer.concat([proto(), whole(1)])), /behind the end of the file/],
  ])('%s', (_, work, words) => {
    expect(work).toThrow(FormatError)
    expect(work).toThrow(words)
  })

  test('tuples in tuples in tuples are followed without being unfolded', () => {
    // Each step doubles what the one before stands for: 2^10000 in all.
    const doubled = Buffer.concat([
      proto(),
      whole(1),
      ...Array.from({ length: 10_000 }, () => Buffer.from([0x32, 0x86])),
      stop,
    ])
    expect(scanPickle(doubled, 0)?.globals.size).toBe(0)
  })
})
