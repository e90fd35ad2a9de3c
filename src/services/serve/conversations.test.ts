import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { KeptResponse } from '../../domain/dialect/index.ts'
import { openConversations } from './conversations.ts'

const answer = (id: string, text = 'Hello.'): KeptResponse => ({
  id,
  response: { id, object: 'response' },
  turns: { messages: [{ role: 'user', content: text }], output: [] },
})
const sizeOf = (kept: KeptResponse): number => JSON.stringify(kept).length

type Bounds = { mostBytes?: number; mostEachBytes?: number; keptForMs?: number }

function open({ mostBytes = 1_000_000, mostEachBytes = mostBytes, keptForMs = 1_000 }: Bounds = {}) {
  let time = 0
  const conversations = openConversations({ mostBytes, mostEachBytes, keptForMs, now: () => time })
  return {
    ...conversations,
    pass: (ms: number) => {
      time += ms
    },
  }
}

test('an answer is given back to the key that asked for it, and to no other', () => {
  const { keep, get } = open()
  keep('ana', answer('resp_1'))
  expect(get('ana', 'resp_1')).toEqual({ ...answer('resp_1'), bytes: sizeOf(answer('resp_1')) })
  expect(get('ben', 'resp_1')).toBeNull()
  expect(get('ana', 'resp_2')).toBeNull()
})

test('no owner can be spelled so that it reaches into another', () => {
  const { keep, get } = open()
  keep('ana', answer('x"]'))
  for (const owner of ['ana"', 'ana","', '["ana"', '']) expect(get(owner, 'x"]')).toBeNull()
})

test('a forgotten answer is gone, and only its own key can forget it', () => {
  const { keep, get, forget } = open()
  keep('ana', answer('resp_1'))
  expect(forget('ben', 'resp_1')).toBe(false)
  expect(forget('ana', 'resp_1')).toBe(true)
  expect(get('ana', 'resp_1')).toBeNull()
  expect(forget('ana', 'resp_1')).toBe(false)
})

test('the answer used longest ago makes room', () => {
  const { keep, get } = open({ mostBytes: 2 * sizeOf(answer('resp_1')) })
  keep('ana', answer('resp_1'))
  keep('ana', answer('resp_2'))
  get('ana', 'resp_1')
  keep('ana', answer('resp_3'))
  expect(get('ana', 'resp_2')).toBeNull()
  expect(get('ana', 'resp_1')).not.toBeNull()
  expect(get('ana', 'resp_3')).not.toBeNull()
})

test('one answer larger than all the room is not kept, and costs no other its place', () => {
  const { keep, get } = open({ mostBytes: 500 })
  keep('ana', answer('resp_1'))
  keep('ana', answer('resp_2', 'x'.repeat(500)))
  expect(get('ana', 'resp_2')).toBeNull()
  expect(get('ana', 'resp_1')).not.toBeNull()
})

test('one answer that is longer than a conversation may be, or holds too much, is not kept', () => {
  const { keep, get } = open({ mostBytes: 100_000_000, mostEachBytes: 10_000_000 })
  keep('ana', answer('resp_1', 'x'.repeat(10_000_000)))
  expect(get('ana', 'resp_1')).toBeNull()
  keep('ana', { ...answer('resp_2'), response: { many: Array.from({ length: 500_000 }, () => 0) } })
  expect(get('ana', 'resp_2')).toBeNull()
  keep('ana', answer('resp_3', 'x'.repeat(9_000_000)))
  expect(get('ana', 'resp_3')).not.toBeNull()
})

test('an answer is kept for its time and no longer, however often it is read', () => {
  const { keep, get, pass, forget } = open({ keptForMs: 1_000 })
  keep('ana', answer('resp_1'))
  pass(999)
  expect(get('ana', 'resp_1')).not.toBeNull()
  pass(1)
  expect(forget('ana', 'resp_1')).toBe(false)
  expect(get('ana', 'resp_1')).toBeNull()
})

test('no sequence of uses holds more than the room, and what is given back is what was kept last', () => {
  const use = fc.record({
    owner: fc.constantFrom('ana', 'ben'),
    id: fc.constantFrom('resp_1', 'resp_2', 'resp_3', 'resp_4'),
    what: fc.constantFrom('keep', 'get', 'forget', 'pass'),
    length: fc.nat(600),
  })
  fc.assert(
    fc.property(fc.array(use, { maxLength: 60 }), uses => {
      const mostBytes = 1_000
      const { keep, get, forget, pass } = open({ mostBytes, keptForMs: 1_000 })
      const last = new Map<string, KeptResponse>()
      for (const { owner, id, what, length } of uses) {
        const key = `${owner} ${id}`
        if (what === 'keep') {
          const kept = answer(id, 'x'.repeat(length))
          keep(owner, kept)
          last.set(key, kept)
        }
        if (what === 'forget') {
          forget(owner, id)
          last.delete(key)
        }
        if (what === 'pass') pass(length)
        const found = get(owner, id)
        if (found !== null) expect(found).toEqual({ ...last.get(key), bytes: expect.any(Number) })
      }
      const held = ['ana', 'ben'].flatMap(owner =>
        ['resp_1', 'resp_2', 'resp_3', 'resp_4'].flatMap(id => get(owner, id) ?? []),
      )
      expect(held.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(mostBytes)
    }),
  )
})
