import { expect, test } from 'vitest'
import { openPlaces } from './places.ts'

const never = new AbortController().signal

test('items are handed out in the order of asking', async () => {
  const places = openPlaces(['x'])
  const order: string[] = []
  const first = await places.take(never)
  const second = places.take(never).then(item => void order.push(`second ${item}`))
  const third = places.take(never).then(item => void order.push(`third ${item}`))
  expect(places).toMatchObject({ size: 1, taken: 1, waiting: 2 })
  places.give(first)
  await second
  places.give('x')
  await third
  expect(order).toEqual(['second x', 'third x'])
  places.give('x')
  expect(places).toMatchObject({ taken: 0, waiting: 0 })
})

test('who leaves while waiting is passed over, and who has left is not let in', async () => {
  const places = openPlaces(['x'])
  await places.take(never)
  const leaving = new AbortController()
  const left = places.take(leaving.signal)
  const staying = places.take(never)
  leaving.abort(new Error('left'))
  await expect(left).rejects.toThrow('left')
  expect(places.waiting).toBe(1)
  places.give('x')
  expect(await staying).toBe('x')
  await expect(places.take(leaving.signal)).rejects.toThrow('left')
  expect(places.taken).toBe(1)
})
