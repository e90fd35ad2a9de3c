import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openOrder } from './order.ts'

test('an order gives the places, members and sizes that a sorted list gives', () => {
  const step = fc.record({ remove: fc.boolean(), value: fc.nat(60) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const order = openOrder<number>((a, b) => a - b)
      let list: number[] = []
      for (const { remove, value } of steps) {
        const has = list.includes(value)
        if (remove && has) order.delete(value)
        if (!remove && !has) order.add(value)
        list = list.filter(other => other !== value)
        if (!remove) list = [...list, value].toSorted((a, b) => a - b)

        expect([...order]).toEqual(list)
        expect(order.size()).toBe(list.length)
        expect(order.rankOf(value)).toBe(list.filter(other => other < value).length)
        for (const rank of [-1, 0, 1, list.length - 1, list.length]) expect(order.at(rank)).toBe(list[rank])
      }
    }),
  )
})

test('what is not in an order can not be taken out', () => {
  const order = openOrder<number>((a, b) => a - b)
  order.add(1)
  expect(() => order.delete(2)).toThrow('must be in it')
  expect([...order]).toEqual([1])
})

test('members that come sorted are compared few times each', () => {
  let compared = 0
  const order = openOrder<number>((a, b) => {
    compared++
    return a - b
  })
  const count = 20_000
  for (let value = 0; value < count; value++) order.add(value)
  for (let value = 0; value < count; value++) order.delete(value)
  expect(order.size()).toBe(0)
  expect(compared / count).toBeLessThan(100)
})
