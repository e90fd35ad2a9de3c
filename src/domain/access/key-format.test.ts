import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkKeyFormat, makeKey, maskKey, randomBase62 } from './key-format.ts'

const randomBytes = fc
  .uint8Array({ minLength: 128, maxLength: 128 })
  .filter(bytes => bytes.filter(byte => byte < 248).length >= 32)
const key = randomBytes.map(bytes => makeKey(bytes))
const character = fc.constantFrom(...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz')

test('K1 a made key has the form of ours', () => {
  fc.assert(
    fc.property(key, made => {
      expect(made).toMatch(/^sk-hf-[0-9A-Za-z]{38}$/)
      expect(checkKeyFormat(made)).toBe('ours')
    }),
  )
})

test('K1 the checksum is the CRC-32 of the body in base62', () => {
  // The expected digits were worked out with another program's zlib.
  expect(makeKey(new Uint8Array(32))).toBe(`sk-hf-${'0'.repeat(32)}2wjyrI`)
})

test('K2 one wrong character is always found', () => {
  fc.assert(
    fc.property(key, fc.nat(37), character, (made, at, wrong) => {
      const place = 'sk-hf-'.length + at
      fc.pre(made[place] !== wrong)
      expect(checkKeyFormat(made.slice(0, place) + wrong + made.slice(place + 1))).toBe('mistyped')
    }),
  )
})

test('K2 two neighbours swapped are always found', () => {
  fc.assert(
    fc.property(key, fc.nat(36), (made, at) => {
      const place = 'sk-hf-'.length + at
      fc.pre(made[place] !== made[place + 1])
      const swapped = made.slice(0, place) + made.charAt(place + 1) + made.charAt(place) + made.slice(place + 2)
      expect(checkKeyFormat(swapped)).toBe('mistyped')
    }),
  )
})

test('K2 a key cut short or run on is mistyped', () => {
  fc.assert(
    fc.property(key, fc.integer({ min: 6, max: 43 }), (made, length) => {
      expect(checkKeyFormat(made.slice(0, length))).toBe('mistyped')
      expect(checkKeyFormat(`${made} `)).toBe('mistyped')
    }),
  )
})

test('K3 a key from elsewhere is foreign', () => {
  for (const text of ['sk-1234567890abcdef1234', 'hf_abcdefghijklmnop', '', 'SK-HF-abc'])
    expect(checkKeyFormat(text)).toBe('foreign')
})

test('K4 every byte below 248 counts, each character four times', () => {
  const all = randomBase62(
    Uint8Array.from({ length: 256 }, (_, byte) => byte),
    248,
  )
  const times = new Map<string, number>()
  for (const each of all) times.set(each, (times.get(each) ?? 0) + 1)
  expect(times.size).toBe(62)
  expect(new Set(times.values())).toEqual(new Set([4]))
})

test('K4 too few usable bytes are refused rather than padded', () => {
  expect(() => makeKey(new Uint8Array(64).fill(250))).toThrow(RangeError)
})

test('a masked key shows its last four characters only', () => {
  expect(maskKey('sk-hf-00000000000000abcd')).toBe('sk-...abcd')
})
